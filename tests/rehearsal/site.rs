//! A place where name servers, brokers and clients run: one folder, its own ports on loopback, and everything stops with
//! the value that stands for it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::ask::Ask;
use crate::jars::Jars;
use crate::plan::say;

/// How long anything may take that a process does: the machine may be slow and shared. Only what fails takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Whether folders of sites stay: something was not as predicted, and somebody will want to know why.
pub(crate) static KEEP: AtomicBool = AtomicBool::new(false);

/// The folder of a site, which goes away with it unless the test failed.
#[derive(Debug)]
pub(crate) struct Site {
    folder: Option<TempDir>,
    /// Port of the name server.
    pub(crate) port: u16,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("site-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        // Absolute, since processes with other working folders read it.
        assert!(folder.path().is_absolute());
        Self { folder: Some(folder), port: free_ports() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    /// A broker that does not run yet, with small files so that they roll soon.
    pub(crate) fn broker(&self, name: &str, settings: &[(&str, &str)]) -> Broker {
        self.broker_at(free_ports(), name, settings)
    }

    /// A master and its slave, running.
    pub(crate) fn pair(&self, release: &Jars) -> (Broker, Broker) {
        self.pair_named("broker-a", release)
    }

    /// The same, by the name that both have.
    pub(crate) fn pair_named(&self, name: &str, release: &Jars) -> (Broker, Broker) {
        let mut master = self.broker(&format!("{name}-master"), &[("brokerName", name)]);
        assert!(master.start(release));
        // From 5.0.0 on, a slave rejects whoever wants to pull from it, unless it is told not to.
        let slave = [("brokerName", name), ("brokerId", "1"), ("brokerRole", "SLAVE"), ("slaveReadEnable", "true")];
        let mut slave = self.broker(&format!("{name}-slave"), &slave);
        assert!(slave.start(release));
        (master, slave)
    }

    /// The same as a broker, at a port: in the place of another one.
    pub(crate) fn broker_at(&self, port: u16, name: &str, settings: &[(&str, &str)]) -> Broker {
        let root = self.path().join(name).join("store");
        let home = self.path().join(name).join("home");
        fs::create_dir_all(&home).unwrap();
        let place = [("storePathRootDir", root.clone()), ("storePathCommitLog", root.join("commitlog"))];
        let place = place.map(|(key, path)| (key.to_owned(), path.display().to_string()));
        let small = [
            // Before 4.5.2 the keys lack a letter; each release ignores those that it does not know.
            ("mapedFileSizeCommitLog", "1048576"),
            ("mappedFileSizeCommitLog", "1048576"),
            ("mapedFileSizeConsumeQueue", "20000"),
            ("mappedFileSizeConsumeQueue", "20000"),
            ("maxHashSlotNum", "500"),
            ("maxIndexNum", "2000"),
            ("flushDiskType", "ASYNC_FLUSH"),
            ("fileReservedTime", "720"),
            ("flushConsumerOffsetInterval", "1000"),
        ];
        let mut all = self.at_port(port);
        all.extend(place);
        all.extend(small.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        Broker {
            name: name.to_owned(),
            folder: self.path().join(name),
            root,
            home,
            port,
            settings: all,
            process: None,
            failure: String::new(),
        }
    }

    /// A broker on a store that is there, with the settings that it was recorded with.
    pub(crate) fn broker_on(&self, root: PathBuf, home: PathBuf, conf: &str) -> Broker {
        let port = free_ports();
        let mut settings = self.at_port(port);
        let given = conf.lines().filter_map(|line| line.split_once('='));
        settings.extend(given.map(|(key, value)| (key.to_owned(), value.to_owned())));
        Broker {
            name: "broker".to_owned(),
            folder: self.path().to_owned(),
            root,
            home,
            port,
            settings,
            process: None,
            failure: String::new(),
        }
    }

    /// Settings of any master at this port.
    fn at_port(&self, port: u16) -> BTreeMap<String, String> {
        let settings = [
            ("brokerClusterName", "Rehearsal"),
            ("brokerName", "broker-a"),
            ("brokerId", "0"),
            ("brokerRole", "ASYNC_MASTER"),
            ("brokerIP1", "127.0.0.1"),
            ("brokerIP2", "127.0.0.1"),
            ("defaultTopicQueueNums", "4"),
            ("autoCreateTopicEnable", "true"),
            // On a well filled disk, 5.x deletes log files whatever it is told of ratios.
            ("cleanFileForciblyEnable", "false"),
        ];
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut settings: BTreeMap<_, _> = settings.collect();
        settings.insert("namesrvAddr".to_owned(), format!("127.0.0.1:{}", self.port));
        settings.insert("listenPort".to_owned(), port.to_string());
        settings.insert("haListenPort".to_owned(), (port + 1).to_string());
        settings
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if (thread::panicking() || KEEP.load(Ordering::Relaxed))
            && let Some(folder) = self.folder.take()
        {
            say(&format!("what the processes left is in {}", folder.keep().display()));
        }
    }
}

/// A broker of a site, running or not.
#[derive(Debug)]
pub(crate) struct Broker {
    name: String,
    folder: PathBuf,
    /// `storePathRootDir`.
    pub(crate) root: PathBuf,
    /// Its `user.home`.
    pub(crate) home: PathBuf,
    pub(crate) port: u16,
    settings: BTreeMap<String, String>,
    process: Option<Process>,
    /// Why it does not run although it was started.
    pub(crate) failure: String,
}

impl Broker {
    /// Whether it follows a master.
    pub(crate) fn is_slave(&self) -> bool {
        self.settings["brokerRole"] == "SLAVE"
    }

    /// Changes a setting for the next start.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.settings.insert(key.to_owned(), value.to_owned());
    }

    /// `broker.conf`, as of the last start.
    pub(crate) fn conf(&self) -> PathBuf {
        self.folder.join("broker.conf")
    }

    /// Writes `broker.conf`.
    pub(crate) fn write_conf(&self) {
        let lines: Vec<String> = self.settings.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        fs::write(self.conf(), lines.concat()).unwrap();
    }

    /// Starts it on its store and waits until it serves; `false` if it does not.
    pub(crate) fn start(&mut self, release: &Jars) -> bool {
        self.write_conf();
        let mut java = release.java(&self.home, "384m");
        java.arg("Host").arg(release.class("broker.BrokerStartup")).arg("-c").arg(self.conf());
        let mut process = Process::spawn(&mut java, &self.folder, &format!("{}-{}", self.name, release.version));
        let port = self.port;
        // 4.x opens its port before it is done.
        let waited = process.wait_for(|process| {
            process.output().contains("boot success") && Ask::connect(port).and_then(|mut ask| ask.runtime()).is_ok()
        });
        self.failure = match waited {
            Waited::Ready => String::new(),
            Waited::Ended => format!(": it ends with {:?}", process.output()),
            Waited::Late => format!(": it neither serves nor ends, with {:?}", process.output()),
        };
        self.process = (waited == Waited::Ready).then_some(process);
        self.process.is_some()
    }

    /// An orderly stop, as `mqshutdown broker` does it.
    pub(crate) fn stop(&mut self) {
        self.process.take().unwrap().stop();
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        // To drop a process is to kill it.
        self.process = None;
    }

    /// Copies its store aside, as `NAME` beside it.
    pub(crate) fn copy_store(&self, name: &str) -> PathBuf {
        let to = self.folder.join(name);
        copy(&self.root, &to);
        to
    }

    /// A connection to the running broker.
    pub(crate) fn ask(&self) -> Ask {
        Ask::connect(self.port).unwrap()
    }
}

/// A process that is killed with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    output: PathBuf,
    name: String,
}

impl Process {
    /// Starts it in a folder; what it prints is appended to `NAME.out` there.
    pub(crate) fn spawn(command: &mut Command, folder: &Path, name: &str) -> Self {
        let output = folder.join(format!("{name}.out"));
        let _ = fs::remove_file(&output);
        let file = File::create(&output).unwrap();
        command.stdout(file.try_clone().unwrap());
        // It ends when this process does, and the pipe with it.
        Self::spawn_piped(command.stdin(Stdio::piped()), folder, name, file, output)
    }

    /// The same, with whatever standard input and output are set, and standard error to the file.
    pub(crate) fn spawn_piped(command: &mut Command, folder: &Path, name: &str, file: File, output: PathBuf) -> Self {
        let child = command.stderr(file).current_dir(folder).spawn().unwrap_or_else(|e| panic!("{name}: {e}"));
        Self { child, output, name: name.to_owned() }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// What it has printed so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Polls until it is as wanted, has ended, or the patience is over.
    pub(crate) fn wait_for(&mut self, mut ready: impl FnMut(&Self) -> bool) -> Waited {
        let end = Instant::now() + PATIENCE;
        loop {
            if ready(self) {
                return Waited::Ready;
            }
            if self.child.try_wait().unwrap().is_some() {
                return Waited::Ended;
            }
            if Instant::now() > end {
                return Waited::Late;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// SIGTERM, then waits for its end.
    pub(crate) fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let waited = self.wait_for(|_| false);
        assert_eq!(waited, Waited::Ended, "{} does not stop: {}", self.name, self.output());
    }
}

/// How waiting for a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    Ready,
    Ended,
    Late,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies a folder with times and holes.
pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", "--sparse=always"]).arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// Polls until it is so, or the patience is over.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// A port that is free now together with its neighbours: a broker also takes the one two below and the one above.
fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let port = first_port() + NEXT.fetch_add(10, Ordering::Relaxed) % PORTS + 2;
        let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop);
        let all: io::Result<()> = (port - 2..=port + 1).try_for_each(free);
        if all.is_ok() {
            return port;
        }
    }
}

/// Ports that one process has.
const PORTS: u16 = 200;

/// The first of the ports of this process: no other rehearsal may take them while a broker is down. Below the range that
/// clients get their ports from.
fn first_port() -> u16 {
    static TAKEN: OnceLock<(File, u16)> = OnceLock::new();
    let take = |n: u16| {
        let file = File::create(std::env::temp_dir().join(format!("mqstore-rehearsal-ports-{n}"))).ok()?;
        file.try_lock().ok()?;
        Some((file, 15_000 + n * PORTS))
    };
    TAKEN.get_or_init(|| (0..80).find_map(take).unwrap()).1
}

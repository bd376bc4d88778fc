//! The jars of a release, from Maven Central, and the client compiled against them; both are kept in a cache.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

use crate::plan::say;

/// The sources of the client.
const SOURCES: &[(&str, &str)] = &[
    ("Agent.java", include_str!("java/Agent.java")),
    ("Host.java", include_str!("java/Host.java")),
    ("Json.java", include_str!("java/Json.java")),
    ("Receiver.java", include_str!("java/Receiver.java")),
    ("Sender.java", include_str!("java/Sender.java")),
];

/// Packages of the JDK that RocketMQ looks into: it was written for Java 8.
const OPENED: &[&str] =
    &["java.lang", "java.net", "java.nio", "java.util", "java.util.concurrent", "jdk.internal.ref", "sun.nio.ch"];

/// Logging of name server and broker; without it, they do not start.
const LOGBACK: &str = r#"<configuration>
<appender name="file" class="ch.qos.logback.core.FileAppender">
<file>${user.home}/rocketmq.log</file><append>true</append>
<encoder><pattern>%d %p %t %logger{0} - %m%n</pattern></encoder>
</appender>
<root level="INFO"><appender-ref ref="file"/></root>
</configuration>
"#;

/// A release that can be run.
#[derive(Debug, Clone)]
pub(crate) struct Jars {
    pub(crate) version: String,
    folder: PathBuf,
}

/// The jars of a release, fetched if the cache has none; what is missing on this machine if they cannot be had.
pub(crate) fn of(version: &str) -> Result<Jars, String> {
    static JDK: OnceLock<Result<(), String>> = OnceLock::new();
    JDK.get_or_init(|| ["java", "javac"].into_iter().try_for_each(is_installed)).clone()?;
    let jars = Jars { version: version.to_owned(), folder: cache()?.join(version) };
    // The tools came last, so a cache may be without them.
    if !jars.lib().join(format!("rocketmq-tools-{version}.jar")).is_file() {
        jars.fetch()?;
    }
    jars.compile()?;
    Ok(jars)
}

impl Jars {
    /// A class of the release by its name behind `org.apache.rocketmq.`, as this release packages it.
    pub(crate) fn class(&self, name: &str) -> String {
        format!("{}.{name}", self.package())
    }

    /// A JVM with the classes of the release and the client, a home folder of its own, and a small heap.
    pub(crate) fn java(&self, home: &Path, heap: &str) -> Command {
        let conf = home.join("conf");
        fs::create_dir_all(&conf).unwrap();
        for name in ["logback_broker.xml", "logback_namesrv.xml", "logback_tools.xml"] {
            fs::write(conf.join(name), LOGBACK).unwrap();
        }
        let mut command = Command::new("java");
        command.args([
            &format!("-Xmx{heap}"),
            "-XX:MaxDirectMemorySize=256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
        ]);
        for package in OPENED {
            command.arg(format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
            command.arg(format!("--add-exports=java.base/{package}=ALL-UNNAMED"));
        }
        for (name, value) in [
            ("user.home", home.display().to_string()),
            ("rocketmq.home.dir", home.display().to_string()),
            // Where 5.x looks.
            ("rmq.logback.configurationFile", conf.join("logback_broker.xml").display().to_string()),
            // A well filled disk is no concern of a rehearsal.
            ("rocketmq.broker.diskSpaceWarningLevelRatio", "0.99".to_owned()),
            ("rocketmq.broker.diskSpaceCleanForciblyRatio", "0.98".to_owned()),
            // The second port of a broker is unknown to the older ones.
            ("com.rocketmq.sendMessageWithVIPChannel", "false".to_owned()),
        ] {
            command.arg(format!("-D{name}={value}"));
        }
        let mut classes = self.lib().join("*").into_os_string();
        classes.push(":");
        classes.push(self.classes());
        command.arg("-cp").arg(classes).env("ROCKETMQ_HOME", home).env_remove("NAMESRV_ADDR");
        command
    }

    /// What `mqadmin` of the release prints.
    pub(crate) fn mqadmin(&self, home: &Path, args: &[&str]) -> String {
        let mut java = self.java(home, "128m");
        let output = java.arg(self.class("tools.command.MQAdminStartup")).args(args).stdin(Stdio::null()).output();
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "mqadmin {args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    fn package(&self) -> &'static str {
        if self.version.starts_with("3.") { "com.alibaba.rocketmq" } else { "org.apache.rocketmq" }
    }

    fn lib(&self) -> PathBuf {
        self.folder.join("lib")
    }

    fn classes(&self) -> PathBuf {
        self.folder.join("classes")
    }

    fn fetch(&self) -> Result<(), String> {
        is_installed("mvn")?;
        say(&format!("fetching {} from Maven Central", self.version));
        let dependency = |part: &str| {
            let (group, version) = (self.package(), &self.version);
            // The tools of 3.x name others that are not to be had, and need none of them.
            let alone =
                "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>";
            let alone = if part == "tools" { alone } else { "" };
            format!(
                "<dependency><groupId>{group}</groupId><artifactId>rocketmq-{part}</artifactId><version>{version}</version>{alone}</dependency>"
            )
        };
        let dependencies: String = ["broker", "namesrv", "client", "tools"].map(dependency).concat();
        let pom = format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion><groupId>rehearsal</groupId>\
             <artifactId>rehearsal</artifactId><version>1</version><packaging>pom</packaging>\
             <dependencies>{dependencies}</dependencies></project>"
        );
        fs::create_dir_all(&self.folder).unwrap();
        fs::write(self.folder.join("pom.xml"), pom).unwrap();
        // Under another name until it is complete.
        let _ = fs::remove_dir_all(self.folder.join("lib.partial"));
        run(Command::new("mvn")
            .args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib.partial"])
            .current_dir(&self.folder))?;
        let _ = fs::remove_dir_all(self.lib());
        fs::rename(self.folder.join("lib.partial"), self.lib()).map_err(|e| format!("jars of {}: {e}", self.version))
    }

    fn compile(&self) -> Result<(), String> {
        let sources = SOURCES.iter().map(|(name, text)| (*name, text.replace("org.apache.rocketmq", self.package())));
        let sources: Vec<(&str, String)> = sources.collect();
        let all: String = sources.iter().map(|(_, text)| text.as_str()).collect();
        let compiled = self.folder.join("compiled.txt");
        if fs::read_to_string(&compiled).is_ok_and(|text| text == all) {
            return Ok(());
        }
        let folder = self.folder.join("sources");
        fs::create_dir_all(&folder).unwrap();
        let mut javac = Command::new("javac");
        javac.args(["-nowarn", "-encoding", "UTF-8", "-cp"]).arg(self.lib().join("*")).arg("-d").arg(self.classes());
        for (name, text) in sources {
            fs::write(folder.join(name), text).unwrap();
            javac.arg(folder.join(name));
        }
        run(&mut javac)?;
        fs::write(&compiled, all).unwrap();
        Ok(())
    }
}

fn is_installed(program: &str) -> Result<(), String> {
    let answer = Command::new(program).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if answer.is_ok_and(|status| status.success()) { Ok(()) } else { Err(format!("{program} is not installed")) }
}

fn cache() -> Result<PathBuf, String> {
    let set = |name: &str| env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    let folder = set("MQSTORE_REHEARSAL_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("mqstore/rehearsal")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/mqstore/rehearsal")));
    folder.ok_or_else(|| "there is no HOME for a cache of jars".to_owned())
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let first = text.lines().find(|line| line.contains("ERROR") || line.contains("error:"));
    Err(format!("{program} failed: {}", first.unwrap_or("it says nothing")))
}

//! Threads that compress frames and digest the files in them, while the next frame is being filled.
//!
//! Each frame is compressed on its own by one thread, so its bytes do not depend on how many there are.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};

use crate::digest::{FileDigest, FileDigests};
use crate::manifest::Extent;

/// How much is compressed before a thread looks whether it is still wanted.
const CHUNK: usize = 1 << 20;
/// Files are digested in portions of so many bytes, holes that are hashed as zeros included.
const PORTION: u64 = 32 << 20;

/// A piece of the tar stream that becomes one zstd frame.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    pub(crate) tar: Vec<u8>,
    /// The files that lie in it as a whole, in order, and the number of the first among all that are digested.
    pub(crate) files: Vec<Piece>,
    pub(crate) first: usize,
}

/// A file in a frame.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Where its data start in the frame.
    pub(crate) at: usize,
    pub(crate) length: u64,
    pub(crate) extents: Vec<Extent>,
    pub(crate) wants_plain: bool,
}

impl Piece {
    fn digest(&self, tar: &[u8]) -> FileDigests {
        let mut digest = FileDigest::new(self.length, &self.extents, self.wants_plain);
        let mut data = tar.get(self.at..).unwrap_or_default();
        for extent in &self.extents {
            let length = usize::try_from(extent.length).unwrap_or(usize::MAX).min(data.len());
            let (bytes, rest) = data.split_at_checked(length).unwrap_or_default();
            digest.update(extent.offset, bytes);
            data = rest;
        }
        digest.finish()
    }

    /// Bytes that go through a hash.
    fn weight(&self) -> u64 {
        let stored: u64 = self.extents.iter().map(|extent| extent.length).sum();
        if self.wants_plain && stored < self.length { stored + self.length } else { stored }
    }
}

/// A frame on its way.
pub(crate) struct Packing {
    /// Length of the frame before it is compressed.
    pub(crate) plain: usize,
    /// [`Frame::first`].
    pub(crate) first: usize,
    frame: Arc<Frame>,
    packed: mpsc::Receiver<io::Result<Vec<u8>>>,
    digests: Vec<mpsc::Receiver<Vec<FileDigests>>>,
}

impl Packing {
    /// Waits for the compressed frame and the digests of its files, in order. What the frame was made of comes back, too, to
    /// be filled again.
    pub(crate) fn wait(self) -> io::Result<(Vec<u8>, Vec<FileDigests>, Vec<u8>)> {
        let gone = |_| io::Error::other("a thread that compresses ended before its time");
        let packed = self.packed.recv().map_err(gone)??;
        let mut digests = Vec::new();
        for portion in self.digests {
            digests.append(&mut portion.recv().map_err(gone)?);
        }
        Ok((packed, digests, Arc::into_inner(self.frame).map(|frame| frame.tar).unwrap_or_default()))
    }
}

enum Job {
    Pack { frame: Arc<Frame>, done: mpsc::Sender<io::Result<Vec<u8>>> },
    Digest { frame: Arc<Frame>, files: Range<usize>, done: mpsc::Sender<Vec<FileDigests>> },
}

/// The threads. They end when this is dropped, with what they are at left undone.
pub(crate) struct Packer {
    jobs: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Packer {
    /// Starts so many threads, at least one, that compress with zstd's `level`.
    pub(crate) fn start(level: i32, threads: u32) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut packer = Self { jobs: Some(jobs), threads: Vec::new(), stop: Arc::default() };
        for _ in 0..threads.max(1) {
            let mut encoder = Encoder::new(level)?;
            encoder.set_parameter(CParameter::ChecksumFlag(true))?;
            let (queue, stop) = (Arc::clone(&queue), Arc::clone(&packer.stop));
            let thread = thread::Builder::new().name("pack".to_owned());
            packer.threads.push(thread.spawn(move || work(encoder, &queue, &stop))?);
        }
        Ok(packer)
    }

    /// Hands a frame to the threads.
    pub(crate) fn pack(&self, frame: Frame) -> Packing {
        let frame = Arc::new(frame);
        // Nobody takes a job only if the threads are gone, and then waiting for it says so.
        let send = |job| self.jobs.as_ref().map(|jobs| jobs.send(job));
        let (done, packed) = mpsc::channel();
        let _ = send(Job::Pack { frame: Arc::clone(&frame), done });
        let mut digests = Vec::new();
        let (mut from, mut weight) = (0, 0);
        for (number, file) in frame.files.iter().enumerate() {
            weight += file.weight();
            if weight >= PORTION || number + 1 == frame.files.len() {
                let (done, portion) = mpsc::channel();
                let _ = send(Job::Digest { frame: Arc::clone(&frame), files: from..number + 1, done });
                digests.push(portion);
                (from, weight) = (number + 1, 0);
            }
        }
        Packing { plain: frame.tar.len(), first: frame.first, frame, packed, digests }
    }
}

impl Drop for Packer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A panic of a thread shows in what was waited for.
            let _ = thread.join();
        }
    }
}

fn work(mut encoder: Encoder<'static>, queue: &Mutex<mpsc::Receiver<Job>>, stop: &AtomicBool) {
    loop {
        let job = queue.lock().ok().and_then(|queue| queue.recv().ok());
        let Some(job) = job.filter(|_| !stop.load(Ordering::Relaxed)) else { return };
        match job {
            Job::Pack { frame, done } => {
                let packed = compress(&mut encoder, &frame.tar, stop);
                drop(frame);
                let _ = done.send(packed);
            }
            Job::Digest { frame, files, done } => {
                let files = frame.files.get(files).unwrap_or_default();
                let digests = files.iter().map(|file| file.digest(&frame.tar)).collect();
                drop(frame);
                let _ = done.send(digests);
            }
        }
    }
}

fn compress(encoder: &mut Encoder<'static>, tar: &[u8], stop: &AtomicBool) -> io::Result<Vec<u8>> {
    encoder.reinit()?;
    encoder.set_pledged_src_size(Some(tar.len() as u64))?;
    let mut packed = Vec::with_capacity(zstd::zstd_safe::compress_bound(tar.len()));
    for chunk in tar.chunks(CHUNK) {
        if stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let mut input = InBuffer::around(chunk);
        while input.pos() < chunk.len() {
            packed.reserve(1 << 10);
            let at = packed.len();
            encoder.run(&mut input, &mut OutBuffer::around_pos(&mut packed, at))?;
        }
    }
    loop {
        let at = packed.len();
        if encoder.finish(&mut OutBuffer::around_pos(&mut packed, at), true)? == 0 {
            return Ok(packed);
        }
        packed.reserve(CHUNK);
    }
}

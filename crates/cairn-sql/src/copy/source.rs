//! Bytes of a file: read through the environment, decompressed by magic bytes, with progress; and the way back.
//!
//! I1. Files are reached through [`cairn_env::Env`] only, so that COPY runs in a simulation too.
//! I2. A file that is written appears under its name only when it is whole: it is written beside and renamed.

use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_env::{Env, File, OpenMode};

use super::error::{CopyError, Result};
use super::options::{Compression, Encoding};

/// Bytes read from the device at once.
const READ_BYTES: usize = 256 << 10;

/// How far a file has been read: bytes on the device, shared with whoever shows it.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    done: Arc<AtomicU64>,
    total: u64,
}

impl Progress {
    /// Bytes read until now.
    pub fn bytes_read(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// The length of the file; 0 where it is not known.
    pub fn bytes_total(&self) -> u64 {
        self.total
    }
}

/// A readable stream of bytes and its name.
pub(super) struct Source {
    /// What messages call it.
    pub(super) name: String,
    /// The uncompressed bytes.
    pub(super) bytes: Box<dyn Read + Send>,
    /// How far it is.
    pub(super) progress: Progress,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Source {
    /// Opens the file `path`, decompressing it if its first bytes (or `compression`) say so.
    ///
    /// # Errors
    /// `58P01`, `42501`, `42809`, `58030`: the file cannot be opened or read.
    pub(super) fn open(
        env: &Env,
        path: &str,
        compression: Option<Compression>,
        encoding: Encoding,
    ) -> Result<Source> {
        let file = open_file(env, path)?;
        let total = file.len().map_err(|e| CopyError::io("read", path, &e))?;
        let progress = Progress { done: Arc::default(), total };
        let raw = FileReader { file, offset: 0, done: Arc::clone(&progress.done) };
        let bytes =
            decode(Box::new(raw), compression, encoding).map_err(|e| CopyError::io("read", path, &e))?;
        Ok(Source { name: path.to_owned(), bytes, progress })
    }

    /// Reads from `bytes` (standard input, a connection); compression is recognised as in a file.
    ///
    /// # Errors
    /// `58030`: the first bytes cannot be read.
    pub(super) fn stream(
        name: &str,
        bytes: Box<dyn Read + Send>,
        compression: Option<Compression>,
        encoding: Encoding,
    ) -> Result<Source> {
        let bytes = decode(bytes, compression, encoding).map_err(|e| CopyError::io("read", name, &e))?;
        Ok(Source { name: name.to_owned(), bytes, progress: Progress::default() })
    }
}

/// Opens a file for reading, refusing a directory.
pub(super) fn open_file(env: &Env, path: &str) -> Result<Arc<dyn File>> {
    let at = Path::new(path);
    let failed = |e: io::Error| CopyError::io("open", path, &e);
    if env.files().metadata(at).map_err(failed)?.is_dir {
        return Err(CopyError::io("open", path, &io::Error::from(io::ErrorKind::IsADirectory)));
    }
    env.files().open(at, OpenMode::Read).map_err(failed)
}

fn decode(
    mut raw: Box<dyn Read + Send>,
    told: Option<Compression>,
    encoding: Encoding,
) -> io::Result<Box<dyn Read + Send>> {
    let mut head = [0u8; 4];
    let mut len = 0;
    while len < head.len() {
        match raw.read(&mut head[len..])? {
            0 => break,
            n => len += n,
        }
    }
    let compression = told.unwrap_or(match &head[..len] {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
        _ => Compression::None,
    });
    let whole = io::Cursor::new(head[..len].to_vec()).chain(raw);
    let plain: Box<dyn Read + Send> = match compression {
        Compression::Gzip => {
            Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(READ_BYTES, whole)))
        }
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
        _ => Box::new(whole),
    };
    Ok(match encoding {
        Encoding::Utf8 => plain,
        Encoding::Latin1 => {
            Box::new(Latin1 { inner: BufReader::with_capacity(READ_BYTES, plain), pending: None })
        }
    })
}

struct FileReader {
    file: Arc<dyn File>,
    offset: u64,
    done: Arc<AtomicU64>,
}

impl Read for FileReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.offset)?;
        self.offset += n as u64;
        self.done.store(self.offset, Ordering::Relaxed);
        Ok(n)
    }
}

/// ISO 8859-1 to UTF-8, byte by byte: each byte from 0x80 becomes two.
struct Latin1<R> {
    inner: BufReader<R>,
    pending: Option<u8>,
}

impl<R: Read> Read for Latin1<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while n < buf.len() {
            if let Some(second) = self.pending.take() {
                buf[n] = second;
                n += 1;
                continue;
            }
            let mut one = [0u8];
            if self.inner.read(&mut one)? == 0 {
                break;
            }
            if one[0] < 0x80 {
                buf[n] = one[0];
            } else {
                buf[n] = 0xc0 | (one[0] >> 6);
                self.pending = Some(0x80 | (one[0] & 0x3f));
            }
            n += 1;
        }
        Ok(n)
    }
}

/// A file being written; nothing is seen under its name before [`Sink::finish`].
pub(super) struct Sink {
    encoder: Encoder,
    place: Option<(Env, PathBuf, PathBuf)>,
    name: String,
}

enum Encoder {
    Plain(Box<dyn Write + Send>),
    Gzip(flate2::write::GzEncoder<Box<dyn Write + Send>>),
    Zstd(zstd::stream::write::Encoder<'static, Box<dyn Write + Send>>),
}

impl Sink {
    /// Creates `path`, compressed as asked.
    pub(super) fn create(env: &Env, path: &str, compression: Compression) -> Result<Sink> {
        let target = PathBuf::from(path);
        let failed = |e: io::Error| CopyError::io("create", path, &e);
        let device = target.starts_with("/dev");
        if !device && env.files().exists(&target).map_err(failed)? {
            let is_dir = env.files().metadata(&target).map_err(failed)?.is_dir;
            if is_dir {
                return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
            }
        }
        let beside = match device {
            true => target.clone(),
            false => {
                let mut name = target.clone().into_os_string();
                name.push(".partial");
                PathBuf::from(name)
            }
        };
        let mode = if device { OpenMode::ReadWrite } else { OpenMode::Create };
        let file = env.files().open(&beside, mode).map_err(failed)?;
        let place = (!device).then(|| (env.clone(), beside, target));
        let raw = Box::new(FileWriter { file, offset: 0, buffer: Vec::with_capacity(READ_BYTES) });
        Sink::over(raw, path, compression, place)
    }

    /// Writes to `bytes` (standard output, a connection).
    pub(super) fn stream(bytes: Box<dyn Write + Send>, name: &str, compression: Compression) -> Result<Sink> {
        Sink::over(bytes, name, compression, None)
    }

    fn over(
        raw: Box<dyn Write + Send>,
        name: &str,
        compression: Compression,
        place: Option<(Env, PathBuf, PathBuf)>,
    ) -> Result<Sink> {
        let encoder = match compression {
            Compression::Gzip => {
                Encoder::Gzip(flate2::write::GzEncoder::new(raw, flate2::Compression::default()))
            }
            Compression::Zstd => Encoder::Zstd(
                zstd::stream::write::Encoder::new(raw, 3).map_err(|e| CopyError::io("write", name, &e))?,
            ),
            _ => Encoder::Plain(raw),
        };
        Ok(Sink { encoder, place, name: name.to_owned() })
    }

    /// Ends the stream and gives the file its name.
    pub(super) fn finish(mut self) -> Result<()> {
        let failed = |name: &str, e: &io::Error| CopyError::io("write", name, e);
        let encoder = std::mem::replace(&mut self.encoder, Encoder::Plain(Box::new(io::sink())));
        let ended = match encoder {
            Encoder::Plain(raw) => Ok(raw),
            Encoder::Gzip(gzip) => gzip.finish(),
            Encoder::Zstd(zstd) => zstd.finish(),
        };
        ended.and_then(|mut raw| raw.flush()).map_err(|e| failed(&self.name, &e))?;
        if let Some((env, beside, target)) = self.place.take() {
            env.files().rename(&beside, &target).map_err(|e| failed(&self.name, &e))?;
        }
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.encoder {
            Encoder::Plain(w) => w.write(buf),
            Encoder::Gzip(w) => w.write(buf),
            Encoder::Zstd(w) => w.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.encoder {
            Encoder::Plain(w) => w.flush(),
            Encoder::Gzip(w) => w.flush(),
            Encoder::Zstd(w) => w.flush(),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some((env, beside, _)) = self.place.take() {
            // The work failed and says so; what is left beside is only litter.
            drop(env.files().remove_file(&beside));
        }
    }
}

struct FileWriter {
    file: Arc<dyn File>,
    offset: u64,
    buffer: Vec<u8>,
}

impl FileWriter {
    fn drain(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.offset)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl Write for FileWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(buf);
        if self.buffer.len() >= READ_BYTES {
            self.drain()?;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.drain()
    }
}

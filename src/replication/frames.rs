//! Files of frames: a length, a checksum and some bytes each. A file may end in the middle of a frame.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};

use bytes::Bytes;

/// The largest frame that is read: a longer length is damage.
const FRAME_BYTES_MAX: u32 = 1 << 30;

/// Writes frames.
pub struct FrameWriter {
    file: BufWriter<File>,
    bytes: u64,
}

impl FrameWriter {
    /// Writes at the current position of a file, which has `bytes` bytes so far.
    pub fn new(file: File, bytes: u64) -> Self {
        Self { file: BufWriter::with_capacity(256 << 10, file), bytes }
    }

    pub fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(|_| ErrorKind::FileTooLarge)?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(&crc32fast::hash(frame).to_le_bytes())?;
        self.file.write_all(frame)?;
        self.bytes += 8 + frame.len() as u64;
        Ok(())
    }

    /// Gives everything to the operating system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// Waits until everything is on the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_data()
    }

    /// Returns the length of the file, with what is not flushed yet.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Flushes, and returns the file.
    pub fn into_file(self) -> io::Result<File> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// Reads frames.
pub struct FrameReader<R> {
    file: BufReader<R>,
    bytes: u64,
}

impl<R: Read> FrameReader<R> {
    pub fn new(file: R) -> Self {
        Self { file: BufReader::with_capacity(256 << 10, file), bytes: 0 }
    }

    /// Returns the next frame. `None` at the end, or where the file is cut or damaged: what follows cannot be trusted.
    pub fn read(&mut self) -> io::Result<Option<Bytes>> {
        let (mut length, mut checksum) = ([0; 4], [0; 4]);
        if !self.fill(&mut length)? || !self.fill(&mut checksum)? {
            return Ok(None);
        }
        let length = u32::from_le_bytes(length);
        if length > FRAME_BYTES_MAX {
            return Ok(None);
        }
        // Not with its length from the start, which may be damage.
        let mut frame = Vec::new();
        (&mut self.file).take(u64::from(length)).read_to_end(&mut frame)?;
        if frame.len() as u32 != length || crc32fast::hash(&frame) != u32::from_le_bytes(checksum) {
            return Ok(None);
        }
        self.bytes += 8 + u64::from(length);
        Ok(Some(frame.into()))
    }

    /// Returns where the last whole frame ends.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<bool> {
        match self.file.read_exact(bytes) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            read => read.map(|()| true),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom};

    use super::*;

    fn read(bytes: &[u8]) -> (Vec<Bytes>, u64) {
        let mut reader = FrameReader::new(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = reader.read().unwrap() {
            frames.push(frame);
        }
        (frames, reader.bytes())
    }

    #[test]
    fn frames_are_read_up_to_the_first_damage() {
        let mut writer = FrameWriter::new(tempfile::tempfile().unwrap(), 0);
        for frame in [&b"one"[..], b"", b"three"] {
            writer.write(frame).unwrap();
        }
        assert_eq!(writer.bytes(), 3 * 8 + 8);
        let mut file = writer.into_file().unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let (frames, length) = read(&bytes);
        assert_eq!(frames, [&b"one"[..], b"", b"three"]);
        assert_eq!(length, bytes.len() as u64);
        for cut in 20..bytes.len() {
            let (frames, length) = read(&bytes[..cut]);
            assert_eq!((frames.len(), length), (2, 19));
        }
        for at in 19..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert_eq!(read(&damaged).0.len(), 2, "byte {at}");
        }
    }
}

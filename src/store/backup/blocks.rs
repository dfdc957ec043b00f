//! The blocks of a backup: `kind (1 byte), length before compression (4), length (4), CRC-32 of all else (4), content`.

use std::io::{self, Read, Write};

use crc32fast::Hasher;
use sha2::{Digest, Sha256};
use zstd::bulk::{Compressor, decompress};

use super::BackupError;

/// What every backup begins with. The format follows it.
const MAGIC: &[u8; 8] = b"ROLECALL";
const FORMAT: u32 = 1;
/// Level 3 is faster than the databases read.
const COMPRESSION: i32 = 3;
/// A block ends with the row that fills it, and no row is near this size.
const BYTES_MAX: u32 = 1 << 30;
const HEAD: usize = 13;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BlockKind {
    /// JSON of `Header`.
    Header = 1,
    /// JSON of the name and the columns of a table.
    Table = 2,
    /// Rows of the last table.
    Rows = 3,
    /// The checksum of everything before, and JSON of the numbers of rows.
    End = 4,
}

pub struct BlockWriter<W> {
    out: W,
    checksum: Sha256,
    bytes: u64,
    compressor: Compressor<'static>,
}

impl<W: Write> BlockWriter<W> {
    pub fn new(out: W) -> io::Result<Self> {
        let compressor = Compressor::new(COMPRESSION)?;
        let mut writer = Self { out, checksum: Sha256::new(), bytes: 0, compressor };
        writer.write(MAGIC)?;
        writer.write(&FORMAT.to_le_bytes())?;
        Ok(writer)
    }

    pub fn block(&mut self, kind: BlockKind, content: &[u8]) -> io::Result<()> {
        let length = |bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= BYTES_MAX);
            length.ok_or_else(|| io::Error::other(format!("a block of more than {BYTES_MAX} bytes")))
        };
        let packed = self.compressor.compress(content)?;
        let mut head = [0; HEAD];
        head[0] = kind as u8;
        head[1..5].copy_from_slice(&length(content)?.to_le_bytes());
        head[5..9].copy_from_slice(&length(&packed)?.to_le_bytes());
        let crc = crc(&head, &packed);
        head[9..].copy_from_slice(&crc.to_le_bytes());
        self.write(&head)?;
        self.write(&packed)
    }

    /// Writes the last block. Returns the size of the file and the checksum.
    pub fn end(mut self, counts: &[u8]) -> io::Result<(u64, [u8; 32])> {
        let checksum: [u8; 32] = self.checksum.clone().finalize().into();
        self.block(BlockKind::End, &[&checksum[..], counts].concat())?;
        self.out.flush()?;
        Ok((self.bytes, checksum))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

pub struct Block {
    pub kind: BlockKind,
    pub content: Vec<u8>,
    /// The checksum of everything before it.
    pub checksum: [u8; 32],
}

pub struct BlockReader<R> {
    input: R,
    checksum: Sha256,
    bytes: u64,
}

impl<R: Read> BlockReader<R> {
    pub fn new(input: R) -> Result<Self, BackupError> {
        let mut reader = Self { input, checksum: Sha256::new(), bytes: 0 };
        let magic = reader.read(MAGIC.len()).map_err(|error| match error {
            BackupError::Cut(_) => BackupError::NotABackup,
            other => other,
        })?;
        if magic != MAGIC {
            return Err(BackupError::NotABackup);
        }
        let format = reader.number()?;
        if format == FORMAT { Ok(reader) } else { Err(BackupError::Format(format)) }
    }

    /// Returns how much was read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn block(&mut self) -> Result<Block, BackupError> {
        let damaged = BackupError::Damaged(self.bytes);
        let checksum = self.checksum.clone().finalize().into();
        let Ok::<[u8; HEAD], _>(head) = self.read(HEAD)?.try_into() else { return Err(damaged) };
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (length, packed_length) = (number(1), number(5));
        // Before the checksum is known, only this bounds what a damaged length makes it read.
        if length.max(packed_length) > BYTES_MAX {
            return Err(damaged);
        }
        let packed = self.read(packed_length as usize)?;
        let kind = match head[0] {
            1 => BlockKind::Header,
            2 => BlockKind::Table,
            3 => BlockKind::Rows,
            4 => BlockKind::End,
            _ => return Err(damaged),
        };
        if crc(&head, &packed) != number(9) {
            return Err(damaged);
        }
        match decompress(&packed, length as usize) {
            Ok(content) if content.len() == length as usize => Ok(Block { kind, content, checksum }),
            _ => Err(damaged),
        }
    }

    /// Refuses bytes after the last block. Returns the size of the file.
    pub fn end(mut self) -> Result<u64, BackupError> {
        let end = self.bytes;
        match self.read(1) {
            Err(BackupError::Cut(_)) => Ok(end),
            Ok(_) => Err(BackupError::Damaged(end)),
            Err(error) => Err(error),
        }
    }

    fn number(&mut self) -> Result<u32, BackupError> {
        let bytes = self.read(4)?;
        bytes.try_into().map(u32::from_le_bytes).map_err(|_| BackupError::NotABackup)
    }

    fn read(&mut self, length: usize) -> Result<Vec<u8>, BackupError> {
        let mut bytes = Vec::new();
        // A damaged length reserves no memory.
        (&mut self.input).take(length as u64).read_to_end(&mut bytes).map_err(BackupError::Read)?;
        self.checksum.update(&bytes);
        self.bytes += bytes.len() as u64;
        if bytes.len() == length { Ok(bytes) } else { Err(BackupError::Cut(self.bytes)) }
    }
}

/// Returns the checksum of a block: of all but the place for it.
fn crc(head: &[u8; HEAD], packed: &[u8]) -> u32 {
    let mut crc = Hasher::new();
    crc.update(&head[..9]);
    crc.update(packed);
    crc.finalize()
}

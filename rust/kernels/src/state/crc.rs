//! CRC-32 as zip and PNG use it (polynomial `0xEDB88320`, reflected). It detects damage; it gives no security.

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut value, mut bit) = (byte as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}

/// A checksum over bytes that are added part by part.
pub(super) struct Crc(u32);

impl Crc {
    pub(super) fn new() -> Self {
        Crc(u32::MAX)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |crc, byte| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)]);
    }

    pub(super) fn value(self) -> u32 {
        !self.0
    }
}

/// The checksum of `bytes`.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.add(bytes);
    crc.value()
}

#[cfg(test)]
mod tests {
    use super::{Crc, crc32};

    #[test]
    fn the_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
        let mut parts = Crc::new();
        parts.add(b"12345");
        parts.add(b"6789");
        assert_eq!(parts.value(), 0xcbf4_3926);
    }
}

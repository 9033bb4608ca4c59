//! Records of event files, in TensorFlow's format TFRecord: the length of the data (8 bytes), the checksum of the length (4),
//! the data, the checksum of the data (4), with the lowest byte first.

use crc::{CRC_32_ISCSI, Crc};

/// CRC-32C, the checksum of iSCSI.
const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Appends the record of `data` to `file`.
pub(super) fn append(file: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked_checksum(&length).to_le_bytes());
    file.extend(data);
    file.extend(masked_checksum(data).to_le_bytes());
}

/// The checksum of `bytes`, turned and shifted: data that contain checksums of their own would weaken a plain one.
fn masked_checksum(bytes: &[u8]) -> u32 {
    CRC32C
        .checksum(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::super::messages::{Event, EventContent};
    use super::*;
    use prost::Message as _;

    /// The version of the format at second 1.5 and step 3, as TensorBoard's own writer encodes it.
    const VERSION: &[u8] = b"\x09\0\0\0\0\0\0\xf8\x3f\x10\x03\x1a\x0dbrain.Event:2";

    /// Test vectors of RFC 3720, appendix B.4.
    #[test]
    fn checksums_are_those_of_rfc_3720() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        for (bytes, checksum) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (&descending, 0x113f_db5c),
            (b"123456789", 0xe306_9283),
        ] {
            assert_eq!(CRC32C.checksum(bytes), checksum);
        }
    }

    /// The record is that of TensorBoard's own writer.
    #[test]
    fn a_record_is_length_checksum_data_checksum() {
        let mut file = vec![7];
        append(&mut file, VERSION);
        assert_eq!(file[..9], [7, 26, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(file[9..13], [0x12, 0x9b, 0xd8, 0x2d]);
        assert_eq!(&file[13..39], VERSION);
        assert_eq!(file[39..], [0xe3, 0xc0, 0xb9, 0x5c]);
    }

    #[test]
    fn an_event_is_encoded_as_tensorboard_does() {
        let event = Event {
            wall_time: 1.5,
            step: 3,
            what: Some(EventContent::FileVersion("brain.Event:2".to_string())),
        };
        assert_eq!(event.encode_to_vec(), VERSION);
    }
}

//! The Merkle tree of RFC 6962, section 2.1: one hash for a list of any length. Leaves and inner nodes are hashed apart, so that no
//! inner node can pass as a leaf.

use crate::checksum::{hex, sha256};

/// The tree of the leaves so far. It keeps a hash for each binary digit of their number.
#[derive(Clone, Debug, Default)]
pub struct MerkleTree {
    /// Whole subtrees from the left, each with the logarithm of its number of leaves, which falls.
    whole: Vec<(u32, [u8; 32])>,
    leaves: u64,
}

impl MerkleTree {
    /// Adds a leaf with this content.
    pub fn add(&mut self, leaf: &[u8]) {
        let mut added = (0, sha256(&[&[0], leaf].concat()));
        while let Some((height, left)) = self.whole.pop_if(|(height, _)| *height == added.0) {
            added = (height + 1, parent(&left, &added.1));
        }
        self.whole.push(added);
        self.leaves += 1;
    }

    /// Number of leaves.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The root in hexadecimal digits.
    pub fn root(&self) -> String {
        let mut from_right = self.whole.iter().rev().map(|(_, hash)| *hash);
        let last = from_right.next().unwrap_or_else(|| sha256(&[]));
        hex(&from_right.fold(last, |right, left| parent(&left, &right)))
    }
}

/// The hash of an inner node.
fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1], &left[..], &right[..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leaves and roots of the tests of Certificate Transparency, the log for which RFC 6962 was written.
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = MerkleTree::default();
        assert_eq!(
            tree.root(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (count, (leaf, root)) in (1..).zip(leaves.into_iter().zip(roots)) {
            tree.add(leaf);
            assert_eq!((tree.leaves(), tree.root().as_str()), (count, root));
        }
        assert_eq!(tree.whole.len(), 1);
    }
}

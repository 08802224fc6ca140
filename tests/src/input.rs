//! Bytes of a fuzzer read as choices, so that what it mutates are decisions and not offsets.

use fastrand::Rng;

/// Reads choices from the front of bytes; past their end every choice is 0.
#[derive(Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// Reads from these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether no byte is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Up to `len` of the bytes that are left.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }

    /// `N` bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.bytes(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A number below `end`, by two bytes; 0 when `end` is.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.u16()) % end.max(1)
    }
}

/// What is done to the bytes of a file that their checksums must notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// Up to four bytes in a row from this place on are other ones: what no CRC-32 overlooks.
    Burst(usize, [u8; 4]),
    /// The file ends here.
    Cut(usize),
    /// Zeros from the first to the second place.
    Zeros(usize, usize),
}

impl Damage {
    /// The damage that an input chooses for a file of this length.
    pub fn choose(input: &mut Input<'_>, len: usize) -> Self {
        match input.u8() % 4 {
            0 | 1 => Damage::Burst(input.below(len), input.array()),
            2 => Damage::Cut(input.below(len)),
            _ => {
                let from = input.below(len);
                Damage::Zeros(from, len.min(from + input.below(len)))
            }
        }
    }

    /// Does it; the places of the first byte that is another one now and behind the last.
    pub fn apply(&self, bytes: &mut Vec<u8>) -> Option<(usize, usize)> {
        let before = bytes.clone();
        match self {
            Damage::Burst(at, mask) => {
                bytes.iter_mut().skip(*at).zip(mask).for_each(|(byte, mask)| *byte ^= mask);
            }
            Damage::Cut(len) => bytes.truncate(*len),
            Damage::Zeros(from, to) => bytes[*from..*to].fill(0),
        }
        let changed = |at: &usize| bytes.get(*at) != before.get(*at);
        let first = (0..before.len()).find(changed)?;
        (0..before.len()).rfind(changed).map(|last| (first, last + 1))
    }
}

/// Random bytes, a few of them or many.
pub fn random_bytes(random: &mut Rng, max: usize) -> Vec<u8> {
    (0..random.usize(0..=max)).map(|_| random.u8(..)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_end_in_zeros_and_damage_says_where_it_is() {
        let mut input = Input::new(&[1, 2, 3]);
        assert_eq!((input.u8(), input.u64(), input.is_empty()), (1, 0x302, true));
        let damaged = |damage: Damage| {
            let mut bytes = vec![1, 2, 0, 4, 5];
            (damage.apply(&mut bytes), bytes)
        };
        assert_eq!(damaged(Damage::Burst(3, [0, 1, 9, 9])), (Some((4, 5)), vec![1, 2, 0, 4, 4]));
        assert_eq!(damaged(Damage::Cut(2)), (Some((2, 5)), vec![1, 2]));
        assert_eq!(damaged(Damage::Zeros(1, 4)), (Some((1, 4)), vec![1, 0, 0, 0, 5]));
        assert_eq!(damaged(Damage::Zeros(2, 3)), (None, vec![1, 2, 0, 4, 5]));
    }
}

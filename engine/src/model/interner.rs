//! Numbers for short byte strings that come again and again in much the same order, as the keys of
//! attributes do.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// Gives each byte string a number, counted from 0. What followed a string the last time is tried
/// before anything is hashed: spans of one operation have the same keys in the same order.
#[derive(Debug, Default)]
pub struct Interner {
    entries: Vec<Entry>,
    found: HashMap<Arc<[u8]>, u32, RandomState>,
    /// The number that was given last.
    last: u32,
}

/// Whether short strings are the same: compared here, eight bytes at once, because calling what
/// compares long ones takes as long.
#[inline(always)]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(a_last), Some(b_last)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return a.iter().zip(b).all(|(a, b)| a == b);
    };
    let (a, _) = a.as_chunks::<8>();
    let (b, _) = b.as_chunks::<8>();
    a_last == b_last && a.iter().zip(b).all(|(a, b)| a == b)
}

#[derive(Debug)]
struct Entry {
    bytes: Arc<[u8]>,
    /// What followed it the last time.
    next: u32,
}

impl Interner {
    /// What followed, the last time, the string whose number was given last; and its number.
    pub fn guess(&self) -> Option<(&[u8], u32)> {
        let guess = self.entries.get(self.last as usize)?.next;
        Some((&self.entries.get(guess as usize)?.bytes, guess))
    }

    /// Takes the guess, which was right.
    pub fn take_guess(&mut self, guess: u32) {
        self.last = guess;
    }

    /// The string's number, if it has one.
    pub fn find(&mut self, bytes: &[u8]) -> Option<u32> {
        if let Some((guessed, guess)) = self.guess()
            && same(guessed, bytes)
        {
            self.take_guess(guess);
            return Some(guess);
        }
        let number = *self.found.get(bytes)?;
        self.follow(number);
        Some(number)
    }

    /// Gives a string without a number the next one.
    pub fn add(&mut self, bytes: &[u8]) -> u32 {
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let bytes: Arc<[u8]> = bytes.into();
        self.found.insert(Arc::clone(&bytes), number);
        self.entries.push(Entry { bytes, next: 0 });
        self.follow(number);
        number
    }

    fn follow(&mut self, number: u32) {
        if let Some(last) = self.entries.get_mut(self.last as usize) {
            last.next = number;
        }
        self.last = number;
    }
}

#[cfg(test)]
mod tests {
    use super::{Interner, same};

    #[test]
    fn strings_that_differ_anywhere_are_not_the_same() {
        for len in 0..40 {
            let a: Vec<u8> = (0..len).collect();
            assert!(same(&a, &a));
            assert!(!same(&a, &[&a[..], b"x"].concat()));
            for at in 0..a.len() {
                let mut b = a.clone();
                b[at] ^= 0x40;
                assert!(!same(&a, &b), "{len} bytes, another at {at}");
            }
        }
    }

    #[test]
    fn a_string_keeps_its_number_whatever_follows_it() {
        let mut interner = Interner::default();
        let mut number = |text: &str| {
            let bytes = text.as_bytes();
            interner.find(bytes).unwrap_or_else(|| interner.add(bytes))
        };
        assert_eq!(["a", "b", "c", ""].map(&mut number), [0, 1, 2, 3]);
        // In the same order, in another, and twice in a row.
        assert_eq!(["a", "b", "c", ""].map(&mut number), [0, 1, 2, 3]);
        assert_eq!(
            ["", "c", "a", "a", "b", "d", "b", "a"].map(&mut number),
            [3, 2, 0, 0, 1, 4, 1, 0]
        );
    }
}

//! `Histogram`: how often values of each size were met, to answer percentiles within 0.4 %.
//!
//! Up to `EXACT_MAX` values are kept as they are. More are counted in buckets, 128 to each power of
//! two: a bucket is at most 1/128 of its values wide, so its middle is within 0.4 % of each of
//! them. What is known of a set of values depends on the set alone, not on the order or the parts
//! in which they came: a merge is a sum.
//!
//! Counting takes 1 KiB for each power of two that was met: at most 129 KiB for integers; for
//! doubles 4.2 MiB, which takes values from the smallest to the largest that there are.

use datafusion::common::{Result, exec_datafusion_err};

/// So many values are kept exactly.
const EXACT_MAX: usize = 128;

/// Buckets to a power of two.
const SLOTS: i32 = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 7;

/// Below every power of two of a double.
const EXPONENT_FLOOR: i32 = 1_075;

/// What the values are. Either way they are held as integers in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Domain {
    /// Integers.
    Int,
    /// Doubles: minus zero is zero, NaN is above infinity, as in ORDER BY.
    Float,
}

/// A double as an integer of the same order.
pub(crate) fn ordered(value: f64) -> i64 {
    let value = match value {
        nan if nan.is_nan() => f64::NAN.abs(),
        value => value + 0.0,
    };
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// The double that is held as this integer.
pub(crate) fn double(ordered: i64) -> f64 {
    let bits = ordered ^ ((ordered >> 63).cast_unsigned() >> 1).cast_signed();
    f64::from_bits(bits.cast_unsigned())
}

impl Domain {
    /// The number of a value's bucket, in the order of values.
    fn bucket(self, held: i64) -> i32 {
        let value = match self {
            Domain::Int => held as f64,
            Domain::Float => double(held),
        };
        let size = size_bucket(value.abs());
        if value < 0.0 { -size } else { size }
    }

    /// A value in the middle of a bucket.
    fn middle(self, bucket: i32) -> i64 {
        let size = bucket_size(bucket.abs());
        match self {
            // Integers below 256 have buckets of their own, which begin with them.
            Domain::Int if bucket < 0 => (-size.floor()) as i64,
            Domain::Int => size.floor() as i64,
            Domain::Float if bucket < 0 => ordered(-size),
            Domain::Float => ordered(size),
        }
    }
}

/// Exponent and first seven binary digits of a number that is not negative; 0 for zero.
fn size_bucket(size: f64) -> i32 {
    const UP: f64 = 18_446_744_073_709_551_616.0;
    if size == 0.0 {
        return 0;
    }
    // Numbers without all their digits get them first.
    let (size, raised) = if size < f64::MIN_POSITIVE { (size * UP, 64) } else { (size, 0) };
    let bits = if size.is_nan() { f64::INFINITY.to_bits() + (1 << 52) } else { size.to_bits() };
    let exponent = i32::try_from(bits >> 52).unwrap_or(0) - 1_023 - raised;
    let slot = i32::try_from((bits >> 45) & 127).unwrap_or(0);
    (exponent + EXPONENT_FLOOR) * SLOTS + slot
}

/// The middle of a bucket, its number not negative.
fn bucket_size(bucket: i32) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let exponent = bucket / SLOTS - EXPONENT_FLOOR;
    let part = 1.0 + (f64::from(bucket % SLOTS) + 0.5) / f64::from(SLOTS);
    match exponent {
        // In units of the smallest double, rounded down as small integers are.
        ..-1_022 => f64::from_bits((part * 2f64.powi(exponent + 1_074)) as u64),
        -1_022..=1_023 => part * 2f64.powi(exponent),
        1_024 => f64::INFINITY,
        _ => f64::NAN,
    }
}

/// The place of a bucket in its page.
fn slot(bucket: i32) -> usize {
    (bucket & (SLOTS - 1)) as usize
}

/// Counts of the buckets of about one power of two.
#[derive(Debug, Clone)]
struct Page {
    number: i32,
    counts: Box<[u64; SLOTS as usize]>,
}

/// The values met so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    /// All values, while they are few.
    values: Vec<i64>,
    /// Else their counts, in order.
    pages: Vec<Page>,
    count: u64,
    smallest: i64,
    largest: i64,
}

impl Histogram {
    /// Adds a value; gives the bytes that the heap grew by, or shrank.
    #[inline]
    pub(crate) fn add(&mut self, domain: Domain, value: i64) -> isize {
        self.span(value, value);
        self.count += 1;
        // Nearly all values of many come into a page that there is.
        if !self.pages.is_empty()
            && let Some(held) = self.known(domain.bucket(value))
        {
            *held += 1;
            return 0;
        }
        let before = self.bytes();
        self.keep(domain, value);
        self.bytes().cast_signed() - before.cast_signed()
    }

    /// Keeps a value that is counted already.
    fn keep(&mut self, domain: Domain, value: i64) {
        if self.pages.is_empty() {
            if self.values.len() < EXACT_MAX {
                self.values.push(value);
                return;
            }
            for kept in std::mem::take(&mut self.values) {
                self.count_in(domain.bucket(kept), 1);
            }
        }
        self.count_in(domain.bucket(value), 1);
    }

    fn span(&mut self, smallest: i64, largest: i64) {
        if self.count == 0 {
            (self.smallest, self.largest) = (smallest, largest);
        } else {
            self.smallest = self.smallest.min(smallest);
            self.largest = self.largest.max(largest);
        }
    }

    fn count_in(&mut self, bucket: i32, count: u64) {
        if let Some(held) = self.known(bucket) {
            *held += count;
            return;
        }
        let number = bucket >> SLOT_BITS;
        let found = self.pages.binary_search_by_key(&number, |page| page.number);
        let at = found.unwrap_or_else(|at| {
            self.pages.insert(at, Page { number, counts: Box::new([0; SLOTS as usize]) });
            at
        });
        self.pages[at].counts[slot(bucket)] += count;
    }

    /// The count of a bucket, if its page is where it mostly is: where there is a page for each
    /// power of two between the smallest and the largest.
    #[inline]
    fn known(&mut self, bucket: i32) -> Option<&mut u64> {
        let number = bucket >> SLOT_BITS;
        let first = self.pages.first()?.number;
        let guess = usize::try_from(i64::from(number) - i64::from(first)).ok()?;
        let page = self.pages.get_mut(guess).filter(|page| page.number == number)?;
        Some(&mut page.counts[slot(bucket)])
    }

    /// The value whose rank is that part of all values, in billionths, rounded up; `None` without
    /// values. Exact while the values are few, and for the smallest and the largest.
    pub(crate) fn quantile(&self, domain: Domain, billionths: u32) -> Option<i64> {
        let rank = (u128::from(self.count) * u128::from(billionths)).div_ceil(1_000_000_000);
        let rank = u64::try_from(rank).unwrap_or(u64::MAX).max(1);
        if self.count == 0 {
            return None;
        }
        if self.pages.is_empty() {
            let mut values = self.values.clone();
            values.sort_unstable();
            return values.get(usize::try_from(rank - 1).ok()?).copied();
        }
        if rank >= self.count {
            return Some(self.largest);
        }
        if rank == 1 {
            return Some(self.smallest);
        }
        let mut below = 0;
        for page in &self.pages {
            for (slot, count) in (0..).zip(page.counts.iter()) {
                below += count;
                if below >= rank {
                    let middle = domain.middle(page.number * SLOTS + slot);
                    return Some(middle.clamp(self.smallest, self.largest));
                }
            }
        }
        Some(self.largest)
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<i64>()
            + self.pages.capacity() * size_of::<Page>()
            + self.pages.len() * SLOTS as usize * size_of::<u64>()
    }

    /// Appends what `merge` reads: how many values and they themselves, or 0 and the counts.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        if self.pages.is_empty() {
            out.push(u8::try_from(self.values.len()).unwrap_or(u8::MAX));
            for value in &self.values {
                out.extend(value.to_le_bytes());
            }
            return;
        }
        out.push(u8::MAX);
        out.extend(self.smallest.to_le_bytes());
        out.extend(self.largest.to_le_bytes());
        for page in &self.pages {
            let used = page.counts.iter().filter(|count| **count > 0).count();
            out.extend(page.number.to_le_bytes());
            out.push(u8::try_from(used).unwrap_or(u8::MAX));
            for (slot, count) in (0u8..).zip(page.counts.iter()) {
                if *count > 0 {
                    out.push(slot);
                    push_varint(out, *count);
                }
            }
        }
    }

    /// Adds the values of another histogram of the same domain.
    ///
    /// # Errors
    /// When `encode` did not write these bytes.
    pub(crate) fn merge(&mut self, domain: Domain, mut bytes: &[u8]) -> Result<()> {
        let foreign = || exec_datafusion_err!("a percentile merges what it made");
        self.read(domain, &mut bytes).filter(|()| bytes.is_empty()).ok_or_else(foreign)
    }

    fn read(&mut self, domain: Domain, bytes: &mut &[u8]) -> Option<()> {
        let [kept] = take(bytes)?;
        if kept < u8::MAX {
            for _ in 0..kept {
                self.add(domain, i64::from_le_bytes(take(bytes)?));
            }
            return Some(());
        }
        let (smallest, largest) = (take(bytes)?, take(bytes)?);
        self.span(i64::from_le_bytes(smallest), i64::from_le_bytes(largest));
        for kept in std::mem::take(&mut self.values) {
            self.count_in(domain.bucket(kept), 1);
        }
        while !bytes.is_empty() {
            let number = i32::from_le_bytes(take(bytes)?);
            let [used] = take(bytes)?;
            for _ in 0..used {
                let [slot] = take(bytes)?;
                let count = take_varint(bytes)?;
                self.count += count;
                self.count_in(number.checked_mul(SLOTS)?.checked_add(slot.into())?, count);
            }
        }
        Some(())
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk::<N>()?;
    *bytes = tail;
    Some(*head)
}

fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        out.push((number & 127) as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take(bytes)?;
        number |= u64::from(byte & 127).checked_shl(shift)?;
        if byte < 128 {
            return Some(number);
        }
    }
    None
}

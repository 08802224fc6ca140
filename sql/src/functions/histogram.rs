//! `Histogram`: how often values of each size were met, to answer percentiles within 0.4 %.
//!
//! Up to `EXACT_MAX` values are kept as they are. More are counted in buckets, 128 to each power of
//! two: a bucket is at most 1/128 of its values wide, so its middle is within 0.4 % of each of
//! them. What is known of a set of values depends on the set alone, not on the order or the parts
//! in which they came: a merge is a sum.
//!
//! Counting takes 256 bytes for each power of two that was met, and 8 for each between them: at
//! most 50 KiB for integers; for doubles 1.1 MiB, which takes values from the smallest to the
//! largest that there are. To this come 32 bytes for each bucket of 65,536 values or more.

use datafusion::common::{Result, exec_datafusion_err};

use super::counts::{Counts, SLOTS};

/// So many values are kept exactly.
const EXACT_MAX: usize = 128;

/// Below every power of two of a double.
const EXPONENT_FLOOR: i32 = 1_075;

/// No page has a number so far from 0.
const PAGES_END: u32 = 2_200;

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
    #[inline]
    fn bucket(self, held: i64) -> i32 {
        let value = match self {
            Domain::Int => held as f64,
            Domain::Float => double(held),
        };
        let size = match self {
            Domain::Int if held == 0 => 0,
            Domain::Int => normal_bucket(value.abs()),
            Domain::Float => size_bucket(value.abs()),
        };
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
    if size.is_nan() {
        return normal_bucket(f64::INFINITY) + SLOTS;
    }
    // Numbers without all their digits get them first.
    if size < f64::MIN_POSITIVE {
        return normal_bucket(size * UP) - 64 * SLOTS;
    }
    normal_bucket(size)
}

/// The same of a number that has all its digits, or is infinite: its exponent and first digits
/// stand beside each other.
#[inline]
fn normal_bucket(size: f64) -> i32 {
    (size.to_bits() >> 45) as i32 + (EXPONENT_FLOOR - 1_023) * SLOTS
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

/// The values met so far.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    kept: Kept,
    smallest: i64,
    largest: i64,
}

#[derive(Debug, Clone)]
enum Kept {
    /// All values, while they are few.
    Values(Vec<i64>),
    Counts(Counts),
}

impl Default for Histogram {
    fn default() -> Self {
        Self { kept: Kept::Values(Vec::new()), smallest: i64::MAX, largest: i64::MIN }
    }
}

impl Histogram {
    /// Adds a value; gives the bytes that the heap grew by, or shrank.
    #[inline(always)]
    pub(crate) fn add(&mut self, domain: Domain, value: i64) -> isize {
        // Of many values, nearly all are of a bucket that was met.
        if let Kept::Counts(counts) = &mut self.kept
            && (self.smallest..=self.largest).contains(&value)
            && counts.add_known(domain.bucket(value))
        {
            return 0;
        }
        self.keep(domain, value)
    }

    /// As `add`, of any value.
    #[cold]
    fn keep(&mut self, domain: Domain, value: i64) -> isize {
        let before = self.bytes();
        self.span(value, value);
        match &mut self.kept {
            Kept::Values(values) if values.len() < EXACT_MAX => values.push(value),
            _ => self.counts(domain).add(domain.bucket(value), 1),
        }
        self.bytes().cast_signed() - before.cast_signed()
    }

    /// The counts; values that were kept are counted.
    fn counts(&mut self, domain: Domain) -> &mut Counts {
        if let Kept::Values(values) = &self.kept {
            let mut counts = Counts::default();
            values.iter().for_each(|value| counts.add(domain.bucket(*value), 1));
            self.kept = Kept::Counts(counts);
        }
        match &mut self.kept {
            Kept::Counts(counts) => counts,
            Kept::Values(_) => unreachable!("they were counted"),
        }
    }

    fn span(&mut self, smallest: i64, largest: i64) {
        self.smallest = self.smallest.min(smallest);
        self.largest = self.largest.max(largest);
    }

    /// The value whose rank is that part of all values, in billionths, rounded up; `None` without
    /// values. Exact while the values are few, and for the smallest and the largest.
    pub(crate) fn quantile(&self, domain: Domain, billionths: u32) -> Option<i64> {
        let count = match &self.kept {
            Kept::Values(values) => values.len() as u64,
            Kept::Counts(counts) => counts.total(),
        };
        let rank = (u128::from(count) * u128::from(billionths)).div_ceil(1_000_000_000);
        let rank = u64::try_from(rank).unwrap_or(u64::MAX).max(1);
        let counts = match &self.kept {
            Kept::Values(values) => {
                let mut values = values.clone();
                values.sort_unstable();
                return values.get(usize::try_from(rank - 1).ok()?).copied();
            }
            Kept::Counts(counts) => counts,
        };
        if rank >= count {
            return Some(self.largest);
        }
        if rank == 1 {
            return Some(self.smallest);
        }
        let mut below = 0;
        for (number, page) in counts.pages() {
            for (bucket, count) in counts.of_page(number, page) {
                below += count;
                if below >= rank {
                    return Some(domain.middle(bucket).clamp(self.smallest, self.largest));
                }
            }
        }
        Some(self.largest)
    }

    /// Bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        match &self.kept {
            Kept::Values(values) => values.capacity() * size_of::<i64>(),
            Kept::Counts(counts) => counts.bytes(),
        }
    }

    /// Appends what `merge` reads: how many values and they themselves, or 255 and the counts.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let counts = match &self.kept {
            Kept::Values(values) => {
                out.push(u8::try_from(values.len()).unwrap_or(u8::MAX));
                values.iter().for_each(|value| out.extend(value.to_le_bytes()));
                return;
            }
            Kept::Counts(counts) => counts,
        };
        out.push(u8::MAX);
        out.extend(self.smallest.to_le_bytes());
        out.extend(self.largest.to_le_bytes());
        for (number, page) in counts.pages() {
            let used = counts.of_page(number, page).count();
            out.extend(number.to_le_bytes());
            out.push(u8::try_from(used).unwrap_or(u8::MAX));
            for (bucket, count) in counts.of_page(number, page) {
                out.push((bucket & (SLOTS - 1)) as u8);
                push_varint(out, count);
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
        let counts = self.counts(domain);
        while !bytes.is_empty() {
            let number = i32::from_le_bytes(take(bytes)?);
            if number.unsigned_abs() >= PAGES_END {
                return None;
            }
            let [used] = take(bytes)?;
            for _ in 0..used {
                let [slot] = take(bytes)?;
                let count = take_varint(bytes)?;
                counts.add(number * SLOTS + i32::from(slot), count);
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

#[cfg(test)]
mod tests {
    use super::{Domain, Histogram};

    #[test]
    fn more_values_than_a_page_counts_merge_to_what_they_are_together() {
        // Three times: one value 200,000 times, and 100,000 others, each of them once.
        let values = |from: i64| (0..100_000).flat_map(move |at| [5_000_000, 5_000_000, from + at]);
        let (mut whole, mut parts) = (Histogram::default(), Histogram::default());
        let mut bytes = 0;
        for from in [4_950_000, -7, 1 << 40] {
            let mut part = Histogram::default();
            for value in values(from) {
                bytes += whole.add(Domain::Int, value);
                part.add(Domain::Int, value);
            }
            let mut state = Vec::new();
            part.encode(&mut state);
            parts.merge(Domain::Int, &state).expect("a state");
        }
        assert_eq!(usize::try_from(bytes), Ok(whole.bytes()));
        let mut encoded = [Vec::new(), Vec::new()];
        whole.encode(&mut encoded[0]);
        parts.encode(&mut encoded[1]);
        assert!(encoded[0] == encoded[1]);
        for (part, exact) in
            [(0, -7_i64), (500_000_000, 5_000_000), (1_000_000_000, (1i64 << 40) + 99_999)]
        {
            let found = parts.quantile(Domain::Int, part).expect("values") as f64;
            assert!((found / exact as f64 - 1.0).abs() < 0.004, "{found} for {exact}");
        }
        // Of 900,000 values, 600,000 are this one.
        let around =
            [120_000_000, 200_000_000, 700_000_000].map(|p| parts.quantile(Domain::Int, p));
        assert_eq!(around[1], around[2]);
        assert!(around[0] < around[1]);
    }
}

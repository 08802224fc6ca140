//! How often values of each bucket of a histogram were met.

use std::collections::BTreeMap;

/// Buckets to a page: those of about one power of two.
pub(super) const SLOTS: i32 = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 7;

/// Counts of the buckets of a page, less what is in `Counts::more`. They are small because each
/// row that is counted reads and writes one of many.
type Page = Box<[u16; SLOTS as usize]>;

/// Counts by the number of their bucket, which may be negative.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// From the page with this number on; some may be missing.
    pages: Vec<Option<Page>>,
    first: i32,
    /// What is to be added to the counts of buckets, where they are too large for a page.
    more: BTreeMap<i32, u64>,
}

/// The place of a bucket in its page.
fn slot(bucket: i32) -> usize {
    (bucket & (SLOTS - 1)) as usize
}

impl Counts {
    /// Counts one value more, if there is the page of its bucket and it has room.
    #[inline(always)]
    pub(super) fn add_known(&mut self, bucket: i32) -> bool {
        let at = (bucket >> SLOT_BITS) - self.first;
        let page = usize::try_from(at).ok().and_then(|at| self.pages.get_mut(at)?.as_mut());
        let Some(count) = page.map(|page| &mut page[slot(bucket)]) else { return false };
        let more = count.checked_add(1);
        *count = more.unwrap_or(*count);
        more.is_some()
    }

    /// Counts so many values more.
    pub(super) fn add(&mut self, bucket: i32, values: u64) {
        let number = bucket >> SLOT_BITS;
        if self.pages.is_empty() {
            self.first = number;
        }
        if number < self.first {
            let missing = self.first.abs_diff(number) as usize;
            self.pages.reserve_exact(missing);
            self.pages.splice(0..0, std::iter::repeat_with(|| None).take(missing));
            self.first = number;
        }
        let at = number.abs_diff(self.first) as usize;
        if at >= self.pages.len() {
            self.pages.reserve_exact(at + 1 - self.pages.len());
            self.pages.resize_with(at + 1, || None);
        }
        let page = self.pages[at].get_or_insert_with(|| Box::new([0; SLOTS as usize]));
        let count = &mut page[slot(bucket)];
        let sum = u64::from(*count) + values;
        // The lower bits stay, and leave room for more.
        *count = sum as u16;
        if sum > u64::from(u16::MAX) {
            *self.more.entry(bucket).or_default() += sum - u64::from(*count);
        }
    }

    /// How many values there are.
    pub(super) fn total(&self) -> u64 {
        let pages = self.pages.iter().flatten().flat_map(|page| page.iter());
        pages.map(|count| u64::from(*count)).sum::<u64>() + self.more.values().sum::<u64>()
    }

    /// The pages that there are, by their numbers, in order.
    pub(super) fn pages(&self) -> impl Iterator<Item = (i32, &Page)> {
        (self.first..).zip(&self.pages).filter_map(|(number, page)| Some((number, page.as_ref()?)))
    }

    /// The buckets of a page that were met, in order.
    pub(super) fn of_page(&self, number: i32, page: &Page) -> impl Iterator<Item = (i32, u64)> {
        let counts = (number * SLOTS..).zip(page.iter()).map(|(bucket, count)| {
            let more = self.more.get(&bucket).copied().unwrap_or_default();
            (bucket, u64::from(*count) + more)
        });
        counts.filter(|(_, count)| *count > 0)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.pages.capacity() * size_of::<Option<Page>>()
            + self.pages.iter().flatten().count() * size_of::<[u16; SLOTS as usize]>()
            + self.more.len() * 2 * size_of::<(i32, u64)>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Counts;

    /// Seed of the buckets.
    const SEED: u64 = 3;

    #[test]
    fn counts_are_those_of_a_map_whatever_their_size_and_order() {
        let (mut counts, mut map) = (Counts::default(), BTreeMap::<i32, u64>::new());
        let mut random = SEED;
        let mut next = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 40) % below
        };
        for step in 0..200_000 {
            // One bucket gets half of them, which is more than a page counts.
            let bucket = if step % 2 == 0 { -5 } else { next(9_000) as i32 - 4_000 };
            let known = counts.add_known(bucket);
            assert!(
                !known || map.contains_key(&bucket) || map.keys().any(|b| b >> 7 == bucket >> 7)
            );
            if !known {
                counts.add(bucket, 1);
            }
            *map.entry(bucket).or_default() += 1;
            if step % 1_000 == 0 {
                let values = [1, 65_535, 65_536, 1 << 40][next(4) as usize];
                counts.add(bucket, values);
                *map.entry(bucket).or_default() += values;
            }
        }
        let read = counts.pages().flat_map(|(number, page)| counts.of_page(number, page));
        assert_eq!(read.collect::<Vec<_>>(), map.into_iter().collect::<Vec<_>>());
        let read = counts.pages().flat_map(|(number, page)| counts.of_page(number, page));
        assert_eq!(counts.total(), read.map(|(_, count)| count).sum::<u64>());
    }
}

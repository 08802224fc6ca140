//! A manifest file: any bytes, any JSON under the right checksums, and whole ones with damage.

use amida::decoders::{self, SegmentEntry, Version};
use amida::json::ValueType;
use amida::{Promoted, PromotedType, Scope, TypeCounts};
use amida_tests::input::{Damage, Input};
use fastrand::Rng;

/// Whole manifests.
pub struct Target {
    files: Vec<Vec<u8>>,
}

/// A version with this many segments.
fn version(segments: u64) -> Version {
    let key = Promoted { scope: Scope::Span, key: "k".into(), value_type: PromotedType::String };
    let mut version = Version::first([9; 16]);
    for number in 1..=segments {
        version.segments.push(SegmentEntry {
            number,
            rows: 10,
            bytes: 1000,
            start_times: (i64::MIN, i64::MAX),
            ingest_times: (1, 2),
            sequences: (number, number),
            row_groups: 1,
            promoted: vec![key.clone()],
        });
        let mut counts = TypeCounts::default();
        counts.add(ValueType::Int, u64::MAX);
        version.catalog.add(Scope::Event, "k\"\u{1F600}", &counts);
        version.promoted = vec![key.clone()];
        version.rejected.insert("bad_span_id".into(), number);
    }
    version
}

impl Target {
    /// The manifests of an empty store and of one with segments.
    pub fn new() -> Self {
        let file = |segments| decoders::manifest_bytes(&version(segments));
        let files = [0, 1, 2].map(|segments| file(segments).expect("numbers and text are JSON"));
        Self { files: files.to_vec() }
    }

    /// An input that reaches the decoder.
    pub fn seed(&self, number: u64) -> Vec<u8> {
        let mut random = Rng::with_seed(number);
        let file = &self.files[random.usize(0..self.files.len())];
        let mut seed = vec![(number % 3) as u8];
        match number % 3 {
            0 => seed.extend(file),
            1 => {
                seed.push(0);
                seed.extend(file.iter().skip_while(|byte| **byte != b'{'));
            }
            _ => (0..10).for_each(|_| seed.push(random.u8(..))),
        }
        if number > 20 && number % 3 != 2 {
            let at = random.usize(1..seed.len());
            seed[at] = random.u8(..);
        }
        seed
    }

    /// Panics when a manifest is not read as it must be.
    pub fn check(&self, data: &[u8]) {
        let mut input = Input::new(data);
        match input.u8() % 3 {
            0 => read(input.rest()),
            1 => {
                // Mostly the format of this version.
                let format = u32::from(input.u8() % 16 == 15) + 1;
                read(&decoders::manifest_around(format, input.rest()));
            }
            _ => {
                let whole = &self.files[usize::from(input.u8()) % self.files.len()];
                let mut bytes = whole.clone();
                let damage = Damage::choose(&mut input, bytes.len());
                if damage.apply(&mut bytes).is_some() {
                    assert!(decoders::manifest(&bytes).is_err(), "{damage:?} is not noticed");
                }
            }
        }
    }
}

fn read(bytes: &[u8]) {
    let Ok(version) = decoders::manifest(bytes) else { return };
    // Sums over whatever numbers stand there.
    let _ = (version.segment_bytes(), version.segment_rows());
    let mut catalog = version.catalog.clone();
    catalog.merge(&version.catalog);
    let again = decoders::manifest_bytes(&version).expect("what was read can be written");
    assert_eq!(decoders::manifest(&again).expect("what was written is read"), version);
}

//! What happens on a day.

use std::time::Duration;

use amida::{Durability, Options, Retention};

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A request with this many spans is appended.
    Append(u64),
    /// A request of more than 64 KiB is appended.
    Large,
    /// This many requests are submitted, then their answers are waited for: one group.
    Group(u64),
    Flush,
    Compact,
    Sync,
    /// The store is read.
    Look,
    /// The store is closed and opened again.
    Reopen,
    /// The clock moves on.
    Hours(u64),
    /// The disk has room for this many more bytes.
    Fill(u64),
    /// The disk has room again.
    Free,
}

/// A day of a store.
#[derive(Debug, Clone)]
pub struct Script {
    pub name: String,
    pub durability: Durability,
    pub seal_bytes: u64,
    pub segment_bytes_max: u64,
    pub age_max: Option<Duration>,
    pub bytes_max: Option<u64>,
    /// The day begins with half a record at the end of the log.
    pub torn: bool,
    pub ops: Vec<Op>,
}

impl Script {
    fn new(name: &str, ops: Vec<Op>) -> Self {
        Self {
            name: name.to_owned(),
            durability: Durability::Sync,
            seal_bytes: 1 << 20,
            segment_bytes_max: 1 << 30,
            age_max: None,
            bytes_max: None,
            torn: false,
            ops,
        }
    }

    /// The settings of its store.
    pub fn apply(&self, options: Options) -> Options {
        let mut retention = self.age_max.map_or(Retention::forever(), Retention::max_age);
        if let Some(bytes) = self.bytes_max {
            retention = retention.max_bytes(bytes);
        }
        options
            .single_threaded()
            .durability(self.durability)
            .seal_bytes(self.seal_bytes)
            .segment_bytes_max(self.segment_bytes_max)
            .retention(retention)
    }
}

/// The disk is full, then nearly full, also when the store is opened.
const FILLS_UP: [Op; 19] = [
    Op::Append(2),
    Op::Flush,
    Op::Fill(0),
    Op::Append(1),
    Op::Append(1),
    Op::Flush,
    Op::Append(1),
    Op::Look,
    Op::Free,
    Op::Append(2),
    Op::Append(1),
    Op::Fill(3_000),
    Op::Flush,
    Op::Append(1),
    Op::Append(1),
    Op::Reopen,
    Op::Append(1),
    Op::Free,
    Op::Append(1),
];

/// The scripts, each with its cycle repeated so often.
pub fn scripts(cycles: usize) -> Vec<Script> {
    use Op::*;
    let day = |name: &str, cycle: &[Op]| Script::new(name, cycle.repeat(cycles));
    let minute = Duration::from_secs(60);
    let mut scripts = vec![
        day("appends", &[Append(1), Append(3), Look, Append(2), Append(1), Append(1), Reopen]),
        day("groups", &[Group(3), Append(1), Group(5), Group(2), Reopen, Group(2), Flush]),
        Script {
            seal_bytes: 1_500,
            ..day("rotates", &[Append(3), Append(1), Group(3), Append(2), Look, Append(4)])
        },
        Script {
            segment_bytes_max: 1,
            ..day("many segments", &[Append(1), Flush, Append(2), Append(1), Flush, Look])
        },
        day(
            "compacts",
            &[Append(2), Flush, Append(1), Append(1), Flush, Append(3), Compact, Append(1)],
        ),
        Script {
            age_max: Some(600 * minute),
            ..day("ages", &[Append(2), Flush, Hours(4), Append(1), Append(1), Compact, Hours(4)])
        },
        Script {
            bytes_max: Some(20_000),
            segment_bytes_max: 1,
            ..day("outgrows", &[Append(2), Flush, Append(1), Flush, Append(2), Compact, Append(1)])
        },
        day("fills up", &FILLS_UP),
        Script {
            durability: Durability::Interval(60 * minute),
            ..day(
                "intervals",
                &[Append(1), Append(2), Sync, Append(1), Group(2), Reopen, Append(1)],
            )
        },
        Script {
            durability: Durability::Os,
            ..day("os", &[Append(2), Append(1), Flush, Append(1), Append(1), Sync, Append(2)])
        },
        Script {
            torn: true,
            ..day("torn tail", &[Append(1), Reopen, Append(2), Append(1), Flush])
        },
        day("large requests", &[Large, Append(1), Large, Flush, Append(1)]),
    ];
    let wanted = std::env::var("AMIDA_SIM_SCRIPT").unwrap_or_default();
    scripts.retain(|script| script.name.contains(&wanted));
    scripts
}

/// Two segments of which a third is made by copying row groups: large, and so not for every test.
pub fn copies() -> Script {
    use Op::*;
    let spans = 16 << 10;
    Script::new("copies", vec![Append(spans), Flush, Append(spans), Compact, Append(1)])
}

/// A random script.
pub fn random(seed: u64) -> Script {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut ops = Vec::new();
    for _ in 0..random.usize(5..40) {
        ops.push(match random.u32(0..20) {
            0..8 => Op::Append(random.u64(1..4)),
            8 => Op::Large,
            9 | 10 => Op::Group(random.u64(2..5)),
            11 | 12 => Op::Flush,
            13 => Op::Compact,
            14 => Op::Sync,
            15 => Op::Look,
            16 => Op::Reopen,
            17 => Op::Hours(random.u64(1..8)),
            18 => Op::Fill(random.u64(0..20_000)),
            _ => Op::Free,
        });
    }
    ops.push(Op::Free);
    let durability = [Durability::Sync, Durability::Sync, Durability::Os];
    Script {
        durability: durability[random.usize(0..3)],
        seal_bytes: random.u64(500..5_000),
        segment_bytes_max: [1, 1 << 30][random.usize(0..2)],
        age_max: random.bool().then_some(Duration::from_secs(36_000)),
        bytes_max: (random.u32(0..3) == 0).then(|| random.u64(10_000..60_000)),
        torn: random.bool(),
        ..Script::new(&format!("random {seed}"), ops)
    }
}

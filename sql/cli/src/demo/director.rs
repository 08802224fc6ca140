//! The director: plays trace after trace along the demo's window, until there are enough spans.

use super::calls::call;
use super::checkout::{Message, checkout, fulfil};
use super::dice::Dice;
use super::profile::profile;
use super::scene::{MS, Play, S, Scene};
use super::shop::{add_to_cart, home, product, search};
use super::world::World;

/// How long the demo's window is.
pub const WINDOW_NS: i64 = 50 * 60 * S;

/// All traces of the demo, by time. The same seed and end give the same traces.
pub struct Director {
    rng: Dice,
    pub world: World,
    start: i64,
    end: i64,
    spans_wanted: u64,
    spans: u64,
    /// An order that waits for the trace that follows it.
    message: Option<(Message, i64)>,
}

impl Director {
    /// At least this many spans; the last of them ends at `end` or before.
    pub fn new(seed: u64, end: i64, spans: u64) -> Self {
        let rng = Dice::with_seed(seed);
        let world = World::new(&rng);
        let start = end.saturating_sub(WINDOW_NS);
        Self { rng, world, start, end, spans_wanted: spans, spans: 0, message: None }
    }

    /// How far the window is played, from 0 to 1.
    fn progress(&self) -> f64 {
        (self.spans as f64 / self.spans_wanted as f64).min(1.0)
    }
}

impl Iterator for Director {
    type Item = Play;

    fn next(&mut self) -> Option<Play> {
        if self.spans >= self.spans_wanted && self.message.is_none() {
            return None;
        }
        let progress = self.progress();
        // Traffic has waves: the time of day runs a little ahead, then a little behind.
        let wave = progress + 0.02 * (progress * std::f64::consts::TAU * 4.0).sin();
        let at = self.start + (wave.clamp(0.0, 1.0) * WINDOW_NS as f64) as i64;
        let at = at + self.rng.i64(0..2_000) * MS;
        let message = self.message.take();
        let start = message.as_ref().map_or(at, |(_, sent)| *sent);
        let mut scene = Scene::new(&self.rng, &self.world, start, progress);
        if let Some((message, _)) = &message {
            scene.work_spread(300 * MS, 0.8);
            fulfil(&mut scene, message);
        } else {
            match scene.rng.u8(..100) {
                0..9 => call(&mut scene, &self.world),
                9..24 => profile(&mut scene, &self.world),
                24..42 => home(&mut scene),
                42..66 => product(&mut scene),
                66..80 => search(&mut scene),
                80..90 => add_to_cart(&mut scene),
                _ => {
                    let sent = checkout(&mut scene);
                    self.message = sent.map(|message| (message, scene.now));
                }
            }
        }
        let mut play = scene.finish();
        play.end_by(self.end);
        self.spans += play.spans.len() as u64;
        Some(play)
    }
}

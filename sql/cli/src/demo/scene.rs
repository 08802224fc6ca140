//! A scene plays one trace: spans open and close on a clock of its own, one inside the other.

use std::borrow::Cow;

use super::dice::Dice;
use super::world::{Service, World};

pub const US: i64 = 1_000;
pub const MS: i64 = 1_000_000;
pub const S: i64 = 1_000_000_000;

/// A value of an attribute.
#[derive(Debug, Clone)]
pub enum Value {
    Text(Cow<'static, str>),
    Int(i64),
    Double(f64),
    Bool(bool),
    Texts(Vec<&'static str>),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Double(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}

impl From<Vec<&'static str>> for Value {
    fn from(texts: Vec<&'static str>) -> Self {
        Value::Texts(texts)
    }
}

pub type Attributes = Vec<(&'static str, Value)>;

/// What a span is to its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// A span as the play wrote it.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Which instance of which service made it: a number of the world's list.
    pub instance: usize,
    pub span_id: u64,
    /// 0 for the root.
    pub parent: u64,
    pub name: Cow<'static, str>,
    pub kind: Kind,
    pub start: i64,
    pub end: i64,
    /// The words of a failure.
    pub error: Option<Cow<'static, str>>,
    pub attributes: Attributes,
    pub events: Vec<(i64, &'static str, Attributes)>,
    pub links: Vec<Place>,
}

/// A span somewhere: what a link points to.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub trace_id: u128,
    pub span_id: u64,
}

/// A whole trace as the play wrote it.
#[derive(Debug)]
pub struct Play {
    pub trace_id: u128,
    pub spans: Vec<Draft>,
}

impl Play {
    /// Moves everything to earlier times, so that nothing ends after `end`.
    pub fn end_by(&mut self, end: i64) {
        let latest = self.spans.iter().map(|span| span.end).max().unwrap_or(end);
        let by = (latest - end).max(0);
        for span in &mut self.spans {
            span.start -= by;
            span.end -= by;
            span.events.iter_mut().for_each(|event| event.0 -= by);
        }
    }
}

/// A trace being played.
pub struct Scene<'a> {
    pub rng: &'a Dice,
    world: &'a World,
    trace_id: u128,
    spans: Vec<Draft>,
    /// The open span: a position in `spans`.
    open: Option<usize>,
    /// The time it is in the play.
    pub now: i64,
    /// How far the time of day is, from 0 to 1 of the demo's window.
    pub progress: f64,
}

/// Where several things happen at once: they start together, and the slowest ends it.
pub struct Fork {
    from: i64,
    latest: i64,
}

impl<'a> Scene<'a> {
    pub fn new(rng: &'a Dice, world: &'a World, start: i64, progress: f64) -> Self {
        let trace_id = rng.u128(1..);
        Self { rng, world, trace_id, spans: Vec::new(), open: None, now: start, progress }
    }

    pub fn finish(self) -> Play {
        Play { trace_id: self.trace_id, spans: self.spans }
    }

    /// One of the instances of a service.
    pub fn pick(&mut self, service: Service) -> usize {
        self.world.pick(self.rng, service)
    }

    /// The version of the instance that plays now.
    pub fn version(&self) -> &'static str {
        self.open.and_then(|at| self.spans.get(at)).map_or("", |s| self.world.version(s.instance))
    }

    /// A span of this instance around what `body` does; gives its place.
    pub fn span(
        &mut self,
        instance: usize,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
        body: impl FnOnce(&mut Self),
    ) -> Place {
        let parent = self.open;
        let span_id = self.rng.u64(1..);
        let at = self.spans.len();
        self.spans.push(Draft {
            instance,
            span_id,
            parent: parent.and_then(|at| self.spans.get(at)).map_or(0, |span| span.span_id),
            name: name.into(),
            kind,
            start: self.now,
            end: self.now,
            error: None,
            attributes: self.everywhere(instance),
            events: Vec::new(),
            links: Vec::new(),
        });
        self.open = Some(at);
        body(self);
        self.open = parent;
        let end = self.now;
        if let Some(span) = self.spans.get_mut(at) {
            span.end = end;
        }
        Place { trace_id: self.trace_id, span_id }
    }

    /// What the instrumentation of every service adds.
    fn everywhere(&self, instance: usize) -> Attributes {
        let mut attributes = Vec::with_capacity(16);
        if !self.world.is_phone(instance) {
            let thread = self.rng.i64(1..48);
            attributes.push(("thread.id", thread.into()));
            attributes.push(("thread.name", format!("worker-pool-{}-{thread}", thread % 4).into()));
        }
        // One request, one number, whoever works on it.
        let (high, low) = ((self.trace_id >> 64) as u64, self.trace_id as u64);
        attributes.push(("request.id", format!("req-{:016x}", high ^ low).into()));
        attributes
    }

    /// A span of the instance whose span is open.
    pub fn own(
        &mut self,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
        body: impl FnOnce(&mut Self),
    ) {
        self.span(self.here(), kind, name, body);
    }

    fn here(&self) -> usize {
        self.open.and_then(|at| self.spans.get(at)).map_or(0, |span| span.instance)
    }

    fn current(&mut self) -> Option<&mut Draft> {
        self.open.and_then(|at| self.spans.get_mut(at))
    }

    /// An attribute of the open span.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = self.current() {
            span.attributes.push((key, value.into()));
        }
    }

    /// An event of the open span, now.
    pub fn event(&mut self, name: &'static str, attributes: Attributes) {
        let now = self.now;
        if let Some(span) = self.current() {
            span.events.push((now, name, attributes));
        }
    }

    /// A link of the open span.
    pub fn link(&mut self, to: Place) {
        if let Some(span) = self.current() {
            span.links.push(to);
        }
    }

    /// The open span failed.
    pub fn fail(&mut self, message: impl Into<Cow<'static, str>>) {
        if let Some(span) = self.current() {
            span.error = Some(message.into());
        }
    }

    /// The open span failed by an exception.
    pub fn throw(&mut self, kind: &'static str, message: &'static str, stack: &'static str) {
        self.event(
            "exception",
            vec![
                ("exception.type", kind.into()),
                ("exception.message", message.into()),
                ("exception.stacktrace", stack.into()),
            ],
        );
        self.fail(message);
    }

    /// Time passes.
    pub fn wait(&mut self, ns: i64) {
        self.now += ns.max(0);
    }

    /// Something takes about this long: log-normal, half of the time less.
    pub fn work(&mut self, median_ns: i64) {
        self.work_spread(median_ns, 0.4);
    }

    /// The same with more or less spread (the standard deviation of the logarithm).
    pub fn work_spread(&mut self, median_ns: i64, sigma: f64) {
        let factor = (sigma * self.rng.normal()).exp();
        self.wait((median_ns as f64 * factor) as i64);
    }

    pub fn fork(&self) -> Fork {
        Fork { from: self.now, latest: self.now }
    }

    /// Something that starts where the fork started.
    pub fn branch(&mut self, fork: &mut Fork, body: impl FnOnce(&mut Self)) {
        self.now = fork.from;
        body(self);
        fork.latest = fork.latest.max(self.now);
    }

    /// Waits for the slowest branch.
    pub fn join(&mut self, fork: Fork) {
        self.now = fork.latest;
    }

    /// Something nobody waits for; gives the time it ended.
    pub fn detached(&mut self, body: impl FnOnce(&mut Self)) -> i64 {
        let now = self.now;
        body(self);
        std::mem::replace(&mut self.now, now)
    }
}

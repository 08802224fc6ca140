//! One trace: a tree of calls through the services, with times. What the spans say of themselves is
//! in attributes.rs.

use fastrand::Rng;

use super::random::{log_normal, pick, skewed};
use super::services::{ENTRIES, Protocol, SERVICES, Service};

/// Instances of each service.
pub const INSTANCES: usize = 3;

/// A trace has 3 to 200 spans; half of the traces have at most 12, nine of ten at most 35.
const SIZE_MIN: usize = 3;
const SIZE_MAX: usize = 200;
const SIZE_MEDIAN: f64 = 12.0;
const SIZE_SIGMA: f64 = 0.835;

/// Share of spans that fail by themselves, and of parents that fail with a child.
const FAILURE: f64 = 0.0125;
const FAILURE_ABOVE: f64 = 0.56;

/// Different users of which skewed draws are made.
const USERS: usize = 50_000;

/// What a span stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A request that a service serves.
    Server,
    /// A request that a service sends to another.
    Client,
    /// A statement for a database.
    Database,
    /// A function inside.
    Internal,
    /// A message that is sent.
    Producer,
    /// A message that is handled.
    Consumer,
}

/// A span before it is written.
#[derive(Debug)]
pub struct Node {
    /// Its place in the trace's list of its parent; `None` for the root.
    pub parent: Option<usize>,
    /// What it stands for.
    pub role: Role,
    /// The service it runs in, as a place in `SERVICES`.
    pub service: usize,
    /// Which instance of the service.
    pub instance: usize,
    /// The service at the other end: whom a client calls, who calls a server; else its own.
    pub peer: usize,
    /// The operation, statement, function or topic.
    pub what: &'static str,
    /// Nanoseconds since 1970.
    pub start_ns: u64,
    /// Nanoseconds.
    pub duration_ns: u64,
    /// Whether it failed.
    pub failed: bool,
    /// Its id.
    pub id: [u8; 8],
}

impl Node {
    /// Its service.
    pub fn service(&self) -> &'static Service {
        &SERVICES[self.service]
    }

    /// How the request that it serves or sends travels.
    pub fn protocol(&self) -> Protocol {
        SERVICES[if self.role == Role::Client { self.peer } else { self.service }].protocol
    }
}

/// A whole trace.
#[derive(Debug)]
pub struct Trace {
    /// Its id.
    pub id: [u8; 16],
    /// For whom it runs.
    pub user: usize,
    /// The order, product or user in its paths.
    pub entity: u32,
    /// Its spans, parents before children.
    pub nodes: Vec<Node>,
}

/// How many spans the next trace has, when `left` more are wanted.
pub fn size(random: &mut Rng, left: usize) -> usize {
    let drawn = log_normal(random, SIZE_MEDIAN, SIZE_SIGMA).round() as usize;
    let drawn = drawn.clamp(SIZE_MIN, SIZE_MAX);
    // The last trace of a corpus must not be smaller than a trace is.
    match left.checked_sub(drawn) {
        None => left.min(SIZE_MAX),
        Some(0) => drawn,
        Some(rest) if rest < SIZE_MIN && drawn >= 2 * SIZE_MIN => drawn - SIZE_MIN,
        Some(_) => drawn,
    }
}

/// A trace with that many spans that starts then.
pub fn grow(random: &mut Rng, spans: usize, start_ns: u64) -> Trace {
    let service = ENTRIES[skewed(random, ENTRIES.len(), 2.0)];
    let what = *pick(random, SERVICES[service].operations);
    let median_ns = 12e6 * cost(what) * (spans as f64).sqrt();
    let mut id = [0; 16];
    random.fill(&mut id);
    let user = skewed(random, USERS, 2.0);
    let entity = random.u32(1_000..900_000);
    let mut tree = Tree { random, nodes: Vec::with_capacity(spans) };
    let duration_ns = log_normal(tree.random, median_ns, 0.7) as u64 + 50_000;
    let root = tree.add(None, Role::Server, service, service, what, (start_ns, duration_ns));
    tree.fill(root, spans - 1, 0);
    tree.fail();
    let nodes = tree.nodes;
    Trace { id, user, entity, nodes }
}

/// How expensive an operation is beside others: between a quarter and six, the same each time.
fn cost(what: &str) -> f64 {
    let sum = what.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    0.25 * 24f64.powf(f64::from(sum % 97) / 96.0)
}

struct Tree<'a> {
    random: &'a mut Rng,
    nodes: Vec<Node>,
}

/// A child that a span will have: its role, peer and operation, and how many spans it and what is
/// below it have.
type Plan = (Role, usize, &'static str, usize);

impl Tree<'_> {
    fn add(
        &mut self,
        parent: Option<usize>,
        role: Role,
        service: usize,
        peer: usize,
        what: &'static str,
        (start_ns, duration_ns): (u64, u64),
    ) -> usize {
        let above = parent.map(|parent| &self.nodes[parent]);
        let instance = match above {
            Some(above) if above.service == service => above.instance,
            _ => self.random.usize(0..INSTANCES),
        };
        let id = self.random.u64(1..).to_be_bytes();
        let failed = false;
        self.nodes.push(Node {
            parent,
            role,
            service,
            instance,
            peer,
            what,
            start_ns,
            duration_ns,
            failed,
            id,
        });
        self.nodes.len() - 1
    }

    /// Gives a span that many spans below it, within its time.
    fn fill(&mut self, parent: usize, spans: usize, depth: usize) {
        let mut plans = Vec::new();
        let mut left = spans;
        while left > 0 {
            let plan = self.plan(SERVICES[self.nodes[parent].service].calls, parent, left, depth);
            left -= plan.3;
            plans.push(plan);
        }
        let weights: Vec<f64> = plans
            .iter()
            .map(|plan| (plan.3 as f64 * cost(plan.2)).sqrt() * log_normal(self.random, 1.0, 0.5))
            .collect();
        let parallel = plans.len() > 1 && self.random.u8(0..4) == 0;
        let all = if parallel {
            weights.iter().copied().fold(0.0, f64::max)
        } else {
            weights.iter().sum()
        };
        let (begin, window) = {
            let above = &self.nodes[parent];
            let lead = above.duration_ns / 30;
            (above.start_ns + lead, (above.duration_ns - 2 * lead) as f64)
        };
        let mut at = begin as f64;
        for (plan, weight) in plans.into_iter().zip(weights) {
            let slot = window * weight / all;
            let duration = slot * (0.4 + 0.55 * self.random.f64());
            self.child(parent, plan, (at as u64, duration as u64), depth);
            if !parallel {
                at += slot;
            }
        }
    }

    /// What a span does next, when `left` more spans are to be made below it.
    fn plan(&mut self, calls: &'static [usize], parent: usize, left: usize, depth: usize) -> Plan {
        let own = self.nodes[parent].service;
        let service = &SERVICES[own];
        let roll = self.random.u8(0..100);
        let share = |random: &mut Rng, most: usize| (random.f64().powf(1.3) * most as f64) as usize;
        if roll < 44 && left >= 2 && !calls.is_empty() && depth < 24 {
            let peer = *pick(self.random, calls);
            let what = *pick(self.random, SERVICES[peer].operations);
            return (Role::Client, peer, what, 2 + share(self.random, left - 1).min(left - 2));
        }
        if roll < 50 && left >= 2 && !service.topics.is_empty() && depth < 24 {
            let (topic, consumer) = *pick(self.random, service.topics);
            let spans = 2 + share(self.random, left / 2).min(left - 2);
            return (Role::Producer, consumer, topic, spans);
        }
        if roll < 72 && !service.statements.is_empty() {
            return (Role::Database, own, *pick(self.random, service.statements), 1);
        }
        let spans = 1 + share(self.random, left / 2).min(left - 1);
        (Role::Internal, own, *pick(self.random, service.internal), spans)
    }

    fn child(&mut self, parent: usize, plan: Plan, (start, duration): (u64, u64), depth: usize) {
        let (role, peer, what, spans) = plan;
        let service = self.nodes[parent].service;
        let own = self.add(Some(parent), role, service, peer, what, (start, duration));
        match role {
            Role::Client => {
                let network = (duration as f64 * 0.1 * self.random.f64()) as u64;
                let time = (start + network, duration - 2 * network);
                let served = self.add(Some(own), Role::Server, peer, service, what, time);
                self.fill(served, spans - 2, depth + 1);
            }
            Role::Producer => {
                // A message waits; its consumer is no longer within its producer.
                let waits = log_normal(self.random, 20e6, 1.2) as u64;
                let takes = log_normal(self.random, 8e6 * cost(what), 0.7) as u64 + 20_000;
                let time = (start + duration + waits, takes);
                let handled = self.add(Some(own), Role::Consumer, peer, service, what, time);
                self.fill(handled, spans - 2, depth + 1);
            }
            _ => self.fill(own, spans - 1, depth + 1),
        }
    }

    /// Lets some spans fail, and some of those above them with them.
    fn fail(&mut self) {
        for at in 0..self.nodes.len() {
            if self.random.f64() >= FAILURE {
                continue;
            }
            let mut failing = Some(at);
            while let Some(failed) = failing {
                self.nodes[failed].failed = true;
                let node = &self.nodes[failed];
                let sure = node.role == Role::Server;
                let up = sure || self.random.f64() < FAILURE_ABOVE;
                failing = node.parent.filter(|_| up && node.role != Role::Consumer);
            }
        }
    }
}

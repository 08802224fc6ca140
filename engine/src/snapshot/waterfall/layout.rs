//! What is drawn and where: a trace as lines of a tree. Long runs of equal siblings become one
//! line, and what goes beyond a number of lines is counted instead. Pure, without recursion, and
//! linear in the spans.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::ids::SpanId;
use crate::snapshot::trace::Trace;

/// Siblings of one sort in a row that are still drawn one by one.
const RUN_MAX: usize = 5;
/// A run is folded only where that saves as many lines as this.
const SAVED_MIN: usize = 3;
/// Failed spans of a run that are still drawn one by one.
const FAILED_MAX: usize = 3;

/// What a line is about.
#[derive(Debug)]
pub enum Item {
    /// The span of a row.
    Span(usize),
    /// Siblings of one sort, in order; those drawn one by one stand under it.
    Run(Vec<usize>),
    /// A parent that is not stored, and the spans that name it.
    Missing(SpanId, Vec<usize>),
    /// Spans that are not drawn, and how many of them failed.
    More(usize, usize),
}

/// A line and its place in the tree.
#[derive(Debug)]
pub struct Line {
    pub item: Item,
    /// What stands before the name: the branches of the tree.
    pub guide: String,
    /// What stands before the lines under this one.
    pub below: String,
}

/// The lines of a trace, and how many of its spans have none.
#[derive(Debug)]
pub struct Layout {
    pub lines: Vec<Line>,
    pub hidden: usize,
}

/// What is known of a span and all beneath it.
#[derive(Debug, Clone, Copy, Default)]
struct Subtree {
    /// Equal where service, name, kind and the sorts of all children are.
    shape: u64,
    spans: usize,
    errors: usize,
}

struct Node {
    item: Item,
    level: usize,
    children: Vec<usize>,
}

/// The lines of a trace. Without a limit on lines nothing is folded. Spans below `levels_max` are
/// not indented further; they carry the number of their level.
pub fn lay_out(trace: &Trace, lines_max: Option<usize>, levels_max: usize) -> Layout {
    let tree = Builder { trace, subtrees: subtrees(trace), lines_max };
    let (nodes, tops) = tree.nodes();
    let drawn = |node: &&Node| matches!(node.item, Item::Span(_));
    let hidden = trace.walk().count() - nodes.iter().filter(drawn).count();
    Layout { lines: lines(nodes, tops, levels_max), hidden }
}

/// What each row has beneath it, itself included.
fn subtrees(trace: &Trace) -> Vec<Subtree> {
    let mut subtrees = vec![Subtree::default(); trace.spans().len()];
    let rows: Vec<usize> = trace.walk().map(|(span, _)| span.row()).collect();
    for &row in rows.iter().rev() {
        let span = trace.span(row);
        let mut sum = Subtree { shape: 0, spans: 1, errors: usize::from(span.is_error()) };
        for &child in trace.child_rows(row) {
            let child = subtrees[child];
            // The order of children does not count: what runs side by side has none.
            sum.shape = sum.shape.wrapping_add(child.shape);
            sum.spans += child.spans;
            sum.errors += child.errors;
        }
        let mut hasher = DefaultHasher::new();
        (span.service_name(), span.name(), span.kind(), sum.shape).hash(&mut hasher);
        sum.shape = hasher.finish();
        subtrees[row] = sum;
    }
    subtrees
}

struct Builder<'a> {
    trace: &'a Trace,
    subtrees: Vec<Subtree>,
    lines_max: Option<usize>,
}

impl Builder<'_> {
    /// The tree of what is drawn, level by level, so that what is left out lies deepest; and how
    /// many of the nodes are tops.
    fn nodes(&self) -> (Vec<Node>, usize) {
        let mut nodes = Vec::new();
        let mut budget = self.lines_max.unwrap_or(usize::MAX);
        let tops = self.add(&mut nodes, &mut budget, self.tops(), 0).len();
        let mut at = 0;
        while at < nodes.len() {
            let node = &nodes[at];
            let (below, level) = (self.below(&node.item), node.level + 1);
            nodes[at].children = self.add(&mut nodes, &mut budget, below, level);
            at += 1;
        }
        (nodes, tops)
    }

    /// Adds the items as nodes as long as there is room, the rest as one; returns their numbers.
    fn add(
        &self,
        nodes: &mut Vec<Node>,
        budget: &mut usize,
        items: Vec<Item>,
        level: usize,
    ) -> Vec<usize> {
        let first = nodes.len();
        let mut hidden = (0, 0);
        for item in items {
            if *budget == 0 {
                let (spans, errors) = self.weight(&item);
                hidden = (hidden.0 + spans, hidden.1 + errors);
            } else {
                *budget -= 1;
                nodes.push(Node { item, level, children: Vec::new() });
            }
        }
        if hidden.0 > 0 {
            let item = Item::More(hidden.0, hidden.1);
            nodes.push(Node { item, level, children: Vec::new() });
        }
        (first..nodes.len()).collect()
    }

    /// Spans and failed spans of an item and all beneath it.
    fn weight(&self, item: &Item) -> (usize, usize) {
        let sum = |rows: &[usize]| {
            rows.iter().fold((0, 0), |(spans, errors), &row| {
                (spans + self.subtrees[row].spans, errors + self.subtrees[row].errors)
            })
        };
        match item {
            Item::Span(row) => sum(&[*row]),
            Item::Run(rows) | Item::Missing(_, rows) => sum(rows),
            Item::More(spans, errors) => (*spans, *errors),
        }
    }

    fn below(&self, item: &Item) -> Vec<Item> {
        match item {
            Item::Span(row) => self.folded(self.trace.child_rows(*row)),
            Item::Run(rows) => self.singled_out(rows).into_iter().map(Item::Span).collect(),
            Item::Missing(_, rows) => self.folded(rows),
            Item::More(..) => Vec::new(),
        }
    }

    /// Roots and circles, and for each parent that is not stored one item.
    fn tops(&self) -> Vec<Item> {
        let mut tops: Vec<Item> = Vec::new();
        let mut groups: HashMap<SpanId, usize> = HashMap::new();
        let mut plain = Vec::new();
        for &row in self.trace.top_rows() {
            let span = self.trace.span(row);
            match span.parent_span_id().filter(|_| self.trace.is_orphan(span)) {
                None => plain.push(row),
                Some(parent) => {
                    tops.extend(self.folded(&std::mem::take(&mut plain)));
                    let at = *groups.entry(parent).or_insert(tops.len());
                    match tops.get_mut(at) {
                        Some(Item::Missing(_, rows)) => rows.push(row),
                        _ => tops.push(Item::Missing(parent, vec![row])),
                    }
                }
            }
        }
        tops.extend(self.folded(&plain));
        tops
    }

    /// Siblings, with every long run of one sort as one item.
    fn folded(&self, rows: &[usize]) -> Vec<Item> {
        let mut items = Vec::new();
        for run in rows.chunk_by(|&a, &b| self.subtrees[a].shape == self.subtrees[b].shape) {
            let is_long = self.lines_max.is_some()
                && run.len() > RUN_MAX
                && run.len() >= self.singled_out(run).len() + 1 + SAVED_MIN;
            if is_long {
                items.push(Item::Run(run.to_vec()));
            } else {
                items.extend(run.iter().copied().map(Item::Span));
            }
        }
        items
    }

    /// The slowest of a run and the first that failed.
    fn singled_out(&self, rows: &[usize]) -> Vec<usize> {
        let duration = |row: usize| self.trace.span(row).duration_ns();
        let failed = rows.iter().copied().filter(|&row| self.subtrees[row].errors > 0);
        let mut out: Vec<usize> = failed.take(FAILED_MAX).collect();
        // Of several the first.
        let slowest = rows.iter().copied().rev().max_by_key(|&row| duration(row));
        out.extend(slowest.filter(|row| !out.contains(row)));
        out.sort_by_key(|row| rows.iter().position(|other| other == row));
        out
    }
}

/// The nodes in drawing order, with the branches of the tree.
fn lines(mut nodes: Vec<Node>, tops: usize, levels_max: usize) -> Vec<Line> {
    let mut lines = Vec::with_capacity(nodes.len());
    // Nodes to draw, the next one last, with whether it is the last of its siblings.
    let mut pending: Vec<(usize, bool)> = (0..tops).map(|node| (node, true)).rev().collect();
    // For each level above, whether a sibling follows below.
    let mut open: Vec<bool> = Vec::new();
    while let Some((at, is_last)) = pending.pop() {
        let node = &mut nodes[at];
        open.truncate(node.level);
        open.push(!is_last);
        let children = std::mem::take(&mut node.children);
        let (guide, below) = guides(&open, node.level, levels_max, !children.is_empty());
        // The item's place is not needed any more.
        let item = std::mem::replace(&mut node.item, Item::More(0, 0));
        lines.push(Line { item, guide, below });
        let last = children.last().copied();
        pending.extend(children.into_iter().rev().map(|child| (child, Some(child) == last)));
    }
    lines
}

/// What stands before a span's name and before the lines under it.
fn guides(open: &[bool], level: usize, levels_max: usize, has_children: bool) -> (String, String) {
    let mut before = String::new();
    // A root has no guide of its own, so that it stands at the edge.
    let above = level.saturating_sub(1).min(levels_max);
    for &is_open in open.iter().skip(1).take(above) {
        before.push_str(if is_open { "│ " } else { "  " });
    }
    let mut below = before.clone();
    if level > 0 {
        let is_open = open.last().copied().unwrap_or(false);
        before.push_str(if is_open { "├ " } else { "└ " });
        below.push_str(if is_open { "│ " } else { "  " });
    }
    if level > levels_max {
        // Writing to a String cannot fail.
        let _ = write!(before, "{level}: ");
    }
    below.push_str(if has_children { "│ " } else { "  " });
    (before, below)
}

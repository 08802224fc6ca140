//! One statement, from its text to rows on the screen, until Ctrl-C.
//!
//! The query runs in the threads of a runtime of its own: whatever keeps them busy, Ctrl-C is
//! heard.

use std::time::{Duration, Instant};

use amida_sql::datafusion::arrow::array::RecordBatch;
use amida_sql::datafusion::arrow::datatypes::SchemaRef;
use amida_sql::{Canceller, Session};
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::interrupt::Interrupts;
use crate::args::AnswerFormat;
use crate::commands::Failure;
use crate::output::formats::Answer;
use crate::output::screen::Screen;
use crate::output::sink::Sink;
use crate::output::zone::Zone;

/// Batches that wait to be shown.
const BATCHES_AHEAD: usize = 2;

/// How often it is looked whether the pager was left while the query gives no rows.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How an answer is shown.
#[derive(Debug, Clone)]
pub struct Look {
    pub format: AnswerFormat,
    pub zone: Zone,
}

/// What became of a statement.
#[derive(Debug)]
pub struct Asked {
    /// Rows that came.
    pub rows: usize,
    /// Rows that were shown, of those.
    pub shown: usize,
    /// Until the last row, without the time that a finished answer was looked at.
    pub took: Duration,
    /// What the answer may have missed.
    pub notes: Vec<String>,
    pub end: End,
}

#[derive(Debug)]
pub enum End {
    /// All rows came.
    Done,
    /// The pager was left before the last row.
    Left,
    /// By Ctrl-C.
    Cancelled,
    /// The query failed, in the words of the session.
    Failed(amida_sql::Error),
    /// The answer could not be shown.
    NotShown(String),
}

enum Part {
    Columns(SchemaRef, Canceller, Vec<String>),
    Rows(RecordBatch),
}

/// Asks the session, in the threads of this runtime, and shows the answer.
pub async fn ask(
    (session, queries): (&Session, &Handle),
    sql: &str,
    look: &Look,
    screen: Screen,
    interrupts: &mut Interrupts,
) -> Asked {
    let started = Instant::now();
    let (to, mut parts) = mpsc::channel(BATCHES_AHEAD);
    let mut query = JoinSet::new();
    query.spawn_on(fetch(session.clone(), sql.to_owned(), to), queries);
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    // Those that are missed while the pager takes no text are not made up for.
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (took, notes) = (Duration::ZERO, Vec::new());
    let mut asked = Asked { rows: 0, shown: 0, took, notes, end: End::Done };
    let mut answer: Option<Answer> = None;
    let mut canceller: Option<Canceller> = None;
    asked.end = loop {
        let part = tokio::select! {
            biased;
            () = interrupts.next() => break End::Cancelled,
            _ = looks.tick() => {
                if screen.is_left() {
                    break End::Left;
                }
                continue;
            }
            part = parts.recv() => part,
        };
        let written = match part {
            Some(Ok(Part::Columns(schema, ends, notes))) => {
                canceller = Some(ends);
                asked.notes = notes;
                Answer::new(look.format, &schema, Sink::screen(&screen), &look.zone)
                    .map(|new| answer = Some(new))
            }
            Some(Ok(Part::Rows(batch))) => {
                asked.rows += batch.num_rows();
                answer.as_mut().map_or(Ok(()), |answer| answer.write(&batch))
            }
            Some(Err(error)) => break End::Failed(error),
            None => break End::Done,
        };
        if let Err(failure) = written {
            break not_shown(failure);
        }
    };
    asked.took = started.elapsed();
    if let End::Done = asked.end
        && let Some(Err(_)) = query.join_next().await
    {
        asked.end = End::NotShown("the query failed inside DataFusion".to_owned());
    }
    drop(query);
    if let Some(canceller) = canceller {
        canceller.cancel();
    }
    show_rest(&mut asked, answer, screen);
    asked
}

/// Ends the answer and the screen.
fn show_rest(asked: &mut Asked, answer: Option<Answer>, screen: Screen) {
    // A pager that is left early has shown what the user wanted of a finished answer.
    match (&asked.end, answer) {
        (End::Done, Some(answer)) => match answer.finish() {
            Ok(shown) => asked.shown = shown,
            Err(Failure::NobodyReads) => asked.shown = asked.rows,
            Err(failure) => asked.end = not_shown(failure),
        },
        (_, answer) => drop(answer),
    }
    if let Err(error) = screen.finish() {
        asked.end = End::NotShown(error.to_string());
    }
}

fn not_shown(failure: Failure) -> End {
    match failure {
        Failure::NobodyReads => End::Left,
        Failure::Because(words) | Failure::Drawn(words) => End::NotShown(words),
    }
}

async fn fetch(session: Session, sql: String, to: mpsc::Sender<amida_sql::Result<Part>>) {
    let rows = match session.query(&sql).await {
        Ok(rows) => rows,
        // Whoever is gone needs no answer.
        Err(error) => return drop(to.send(Err(error)).await),
    };
    let columns = Part::Columns(rows.schema(), rows.canceller(), rows.notes().to_vec());
    if to.send(Ok(columns)).await.is_err() {
        return;
    }
    let mut batches = rows.stream();
    while let Some(batch) = batches.next().await {
        if to.send(batch.map(Part::Rows)).await.is_err() {
            return;
        }
    }
}

//! The calling app: a trace from pressing *call* to hanging up. Some calls never ring, because the
//! push service waited in vain for the telephone maker's push gateway.

use super::scene::{Kind, MS, S, Scene, Value};
use super::traffic::{Http, Outcome};
use super::world::{Phone, Service, World};

/// The part of the demo's window in which the Android push gateway hardly answers.
const OUTAGE: std::ops::Range<f64> = 0.52..0.66;
/// How long the push service waits for one attempt.
const PUSH_TIMEOUT_MS: i64 = 5_000;
/// How long a caller waits for the other side to ring.
const PATIENCE: i64 = 30 * S;

/// How a call went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    NeverRang,
    NotAnswered,
    Declined,
    Talked,
}

impl Ending {
    fn word(self) -> &'static str {
        match self {
            Ending::NeverRang => "never_rang",
            Ending::NotAnswered => "not_answered",
            Ending::Declined => "declined",
            Ending::Talked => "talked",
        }
    }
}

/// What is known of a call before it starts.
struct Call {
    id: String,
    callee: Phone,
    caller: Phone,
    media: &'static str,
}

/// One call, from pressing *call* to hanging up.
pub fn call(s: &mut Scene<'_>, world: &World) {
    let call = Call {
        id: format!("c-{:010x}", s.rng.u64(..1 << 40)),
        callee: world.phone(s.rng),
        caller: world.phone(s.rng),
        media: s.rng.one_of(&["audio", "audio", "video"]),
    };
    s.span(call.caller.instance, Kind::Internal, "call.press", |s| {
        s.set("call.id", call.id.clone());
        s.set("call.media", call.media);
        s.set("app.version", call.caller.app_version);
        s.set("os.name", call.caller.os);
        s.set("enduser.id", format!("u-{:06}", s.rng.u32(..400_000)));
        let network = s.rng.one_of(&["wifi", "wifi", "cell"]);
        s.set("network.connection.type", network);
        s.set("device.battery.level", f64::from(s.rng.u8(5..=100)) / 100.0);
        s.work(60 * MS);
        let mut rings_at = None;
        let from = s.now;
        http_post_call(s, &call, &mut rings_at);
        let ending = match rings_at {
            None => Ending::NeverRang,
            Some(_) => s.rng.one_of(&[
                Ending::Talked,
                Ending::Talked,
                Ending::Talked,
                Ending::NotAnswered,
                Ending::Declined,
            ]),
        };
        wait_for_ring(s, &call, from, rings_at);
        match ending {
            Ending::NeverRang => s.fail("the call did not ring"),
            Ending::NotAnswered => s.wait(25 * S),
            Ending::Declined => s.work(6 * S),
            Ending::Talked => talk(s, &call),
        }
        hang_up(s, &call);
        s.set("call.outcome", ending.word());
    });
}

/// The caller's request; the push goes on after it was answered.
fn http_post_call(s: &mut Scene<'_>, call: &Call, rings_at: &mut Option<i64>) {
    let request = Http::new("POST", "/calls", "/calls");
    s.http_with(
        Service::ApiServer,
        request,
        |s| s.set("call.id", call.id.clone()),
        |s| {
            s.set("call.id", call.id.clone());
            verify_token(s);
            let text = "INSERT INTO calls (id, caller, callee, media) VALUES ($1, $2, $3, $4)";
            s.query("INSERT", "calls", text, 2 * MS);
            s.rpc(Service::WebrtcProvider, "webrtc.Rooms", "Create", |s| {
                s.own(Kind::Internal, "room.create", |s| {
                    s.set("room.id", format!("r-{:08x}", s.rng.u32(..)));
                    s.set("room.codecs", Value::from(vec!["opus", "vp8", "h264"]));
                    s.work(18 * MS);
                });
                Outcome::RPC_OK
            });
            s.detached(|s| *rings_at = push(s, call));
            s.work(3 * MS);
            Outcome::new(201, "")
        },
    );
}

/// A token is looked at for every request; one in a thousand is too old and is renewed.
pub fn verify_token(s: &mut Scene<'_>) {
    s.rpc(Service::Auth, "auth.Tokens", "Verify", |s| {
        s.own(Kind::Internal, "token.verify", |s| {
            s.set("token.algorithm", "EdDSA");
            let is_old = s.rng.chance(0.004);
            s.set("token.renewed", is_old);
            s.work(if is_old { 45 * MS } else { 2 * MS });
        });
        Outcome::RPC_OK
    });
}

/// Wakes the other telephone; gives the time at which it rings, if it does.
fn push(s: &mut Scene<'_>, call: &Call) -> Option<i64> {
    let is_android = call.callee.os == "Android";
    let (via, host) =
        if is_android { ("fcm", "fcm.googleapis.com") } else { ("apns", "api.push.apple.com") };
    let in_outage = is_android && OUTAGE.contains(&s.progress);
    let lost = if in_outage { 0.9 } else { 0.05 };
    let mut rings_at = None;
    s.rpc(Service::PushService, "push.Messages", "Send", |s| {
        s.own(Kind::Producer, "push.send", |s| {
            s.set("push.provider", via);
            s.set("push.priority", "high");
            s.set("call.id", call.id.clone());
            s.set("push.attempts_max", 3i64);
            for attempt in 1..=3 {
                if attempt_push(s, host, via, attempt, lost) {
                    rings_at = Some(ring(s, call));
                    break;
                }
                if attempt < 3 {
                    s.wait((400 << attempt) * MS);
                }
            }
            if rings_at.is_none() {
                s.fail("push timed out after 3 attempts");
            }
        });
        let late = Outcome::new(4, "push timed out after 3 attempts");
        if rings_at.is_some() { Outcome::RPC_OK } else { late }
    });
    rings_at
}

fn attempt_push(
    s: &mut Scene<'_>,
    host: &'static str,
    via: &'static str,
    attempt: i64,
    lost: f64,
) -> bool {
    // An attempt that follows a lost one is lost more often.
    let is_lost = s.rng.chance(if attempt > 1 { (lost * 3.0).min(0.95) } else { lost });
    s.own(Kind::Client, if via == "fcm" { "POST fcm" } else { "POST apns" }, |s| {
        s.set("http.request.method", "POST");
        s.set("server.address", host);
        s.set("server.port", 443i64);
        s.set("network.protocol.version", "2");
        s.set("push.provider", via);
        s.set("http.request.resend_count", attempt - 1);
        if is_lost {
            s.wait(PUSH_TIMEOUT_MS * MS);
            s.event(
                "push.timeout",
                vec![
                    ("push.attempt", attempt.into()),
                    ("push.timeout_ms", PUSH_TIMEOUT_MS.into()),
                    ("push.will_retry", (attempt < 3).into()),
                ],
            );
            s.set("error.type", "timeout");
            s.fail(format!("no answer from {host} within 5 s"));
        } else {
            s.work_spread(90 * MS, 0.5);
            s.set("http.response.status_code", 200i64);
        }
    });
    !is_lost
}

/// The other telephone rings; nobody waits for it on this path.
fn ring(s: &mut Scene<'_>, call: &Call) -> i64 {
    let mut rings_at = s.now;
    s.detached(|s| {
        s.work_spread(350 * MS, 0.6);
        rings_at = s.now;
        s.span(call.callee.instance, Kind::Consumer, "call.ring", |s| {
            s.set("call.id", call.id.clone());
            s.set("app.version", call.callee.app_version);
            s.set("os.name", call.callee.os);
            let state = s.rng.one_of(&["background", "background", "foreground", "killed"]);
            s.set("app.state", state);
            s.event("ringtone.started", vec![("volume", 0.8.into())]);
            s.work(4 * S);
        });
    });
    rings_at
}

/// The caller sees *calling* and asks for news, until it rings or patience ends.
fn wait_for_ring(s: &mut Scene<'_>, call: &Call, from: i64, rings_at: Option<i64>) {
    let until = rings_at.unwrap_or(from + PATIENCE).max(s.now);
    let begin = s.now;
    s.own(Kind::Internal, "call.wait", |s| {
        s.set("call.id", call.id.clone());
        poll_until(s, call, "calling", until, 5 * S);
        s.now = until;
        s.set("wait.ms", (until - begin) / MS);
        match rings_at {
            Some(_) => s.event("ringing", vec![]),
            None => s.fail("gave up after 30 s: the other side did not ring"),
        }
    });
}

fn poll_until(s: &mut Scene<'_>, call: &Call, state: &'static str, until: i64, every: i64) {
    let mut polls = 0i64;
    while s.now + every < until && polls < 24 {
        s.wait(every);
        polls += 1;
        let next = s.now;
        let checker = s.pick(Service::StatusChecker);
        s.span(checker, Kind::Client, "status.poll", |s| {
            s.set("call.id", call.id.clone());
            s.set("call.state", state);
            s.set("poll.number", polls);
            s.work(2 * MS);
            let path = format!("/calls/{}", call.id);
            s.serve(Service::ApiServer, Http::new("GET", "/calls/{id}", path), |s| {
                s.set("call.state", state);
                s.work_spread(5 * MS, 0.7);
                Outcome::HTTP_OK
            });
            s.work(MS);
        });
        s.now = next;
    }
}

fn talk(s: &mut Scene<'_>, call: &Call) {
    s.work(5 * S);
    s.span(call.callee.instance, Kind::Internal, "call.accept", |s| {
        s.set("call.id", call.id.clone());
        exchange(s, "answer");
    });
    exchange(s, "offer");
    let begin = s.now;
    let media = s.pick(Service::WebrtcProvider);
    s.span(media, Kind::Internal, "media.session", |s| {
        s.set("call.media", call.media);
        let pair = s.rng.one_of(&["host", "srflx", "srflx", "relay"]);
        s.event("ice.connected", vec![("ice.candidate_type", pair.into())]);
        s.work_spread(75 * S, 0.7);
        s.now = s.now.min(begin + 420 * S);
        let jitter = (s.rng.f64() * 400.0).round() / 10.0;
        s.event(
            "quality",
            vec![("jitter_ms", jitter.into()), ("packets_lost", s.rng.i64(0..40).into())],
        );
        s.set("rtp.jitter_ms", jitter);
        s.set("rtp.relayed", pair == "relay");
    });
    let end = s.now;
    s.now = begin;
    poll_until(s, call, "talking", end, 15 * S);
    s.now = end;
}

fn exchange(s: &mut Scene<'_>, side: &'static str) -> Outcome {
    s.rpc(Service::WebrtcProvider, "webrtc.Sessions", "Exchange", |s| {
        s.own(Kind::Internal, "sdp.exchange", |s| {
            s.set("sdp.type", side);
            s.set("sdp.bytes", s.rng.i64(1_800..4_200));
            s.work(25 * MS);
        });
        Outcome::RPC_OK
    })
}

fn hang_up(s: &mut Scene<'_>, call: &Call) {
    s.own(Kind::Internal, "call.hangup", |s| {
        s.set("call.id", call.id.clone());
        let path = format!("/calls/{}/hangup", call.id);
        s.http(Service::ApiServer, Http::new("POST", "/calls/{id}/hangup", path), |s| {
            verify_token(s);
            s.rpc(Service::WebrtcProvider, "webrtc.Rooms", "Close", |s| {
                s.own(Kind::Internal, "room.close", |s| s.work(8 * MS));
                Outcome::RPC_OK
            });
            Outcome::HTTP_OK
        });
    });
}

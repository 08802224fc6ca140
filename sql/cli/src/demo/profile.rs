//! The calling app's second story: registrations and profile changes send `lastNameReading`, how
//! a family name is read. It should be kana. Latin letters come from two places: version 3.2.0
//! of the Android app sends them, and version 2.8.1 of the API server makes them of hiragana.

use super::calls::verify_token;
use super::scene::{Kind, MS, Scene};
use super::traffic::{Http, Outcome};
use super::world::{Service, World};

/// A name as katakana, hiragana and Latin letters.
const NAMES: [(&str, &str, &str); 12] = [
    ("ヤマダ", "やまだ", "YAMADA"),
    ("サトウ", "さとう", "SATO"),
    ("スズキ", "すずき", "SUZUKI"),
    ("タカハシ", "たかはし", "TAKAHASHI"),
    ("タナカ", "たなか", "TANAKA"),
    ("イトウ", "いとう", "ITO"),
    ("ワタナベ", "わたなべ", "WATANABE"),
    ("ナカムラ", "なかむら", "NAKAMURA"),
    ("コバヤシ", "こばやし", "KOBAYASHI"),
    ("カトウ", "かとう", "KATO"),
    ("ヨシダ", "よしだ", "YOSHIDA"),
    ("シミズ", "しみず", "SHIMIZU"),
];

/// A registration, or a change of the profile.
pub fn profile(s: &mut Scene<'_>, world: &World) {
    let phone = world.phone(s.rng);
    let (katakana, hiragana, latin) = s.rng.one_of(&NAMES);
    let app_is_wrong = phone.os == "Android" && phone.app_version == "3.2.0" && s.rng.chance(0.6);
    let sent = match app_is_wrong {
        true => latin,
        false if s.rng.chance(0.3) => hiragana,
        false => katakana,
    };
    let is_new = s.rng.chance(0.4);
    let root = if is_new { "registration.submit" } else { "profile.save" };
    s.span(phone.instance, Kind::Internal, root, |s| {
        s.set("app.version", phone.app_version);
        s.set("os.name", phone.os);
        s.set("form.fields", s.rng.i64(6..14));
        let keyboard = if app_is_wrong { "latin" } else { "kana" };
        s.set("form.keyboard", keyboard);
        s.work(30 * MS);
        let id = s.rng.u32(..400_000);
        let request = match is_new {
            true => Http::new("POST", "/registrations", "/registrations"),
            false => Http::new("PUT", "/profiles/{id}", format!("/profiles/{id}")),
        };
        let words = |s: &mut Scene<'_>| {
            s.set("lastNameReading", sent);
            s.set("app.version", phone.app_version);
            s.set("os.name", phone.os);
        };
        s.http_with(Service::ApiServer, request, words, |s| save(s, sent, hiragana, latin, is_new));
    });
}

fn save(
    s: &mut Scene<'_>,
    sent: &'static str,
    hiragana: &'static str,
    latin: &'static str,
    is_new: bool,
) -> Outcome {
    let server_is_wrong = s.version() == "2.8.1" && sent == hiragana && s.rng.chance(0.5);
    let stored = if server_is_wrong { latin } else { sent };
    s.set("lastNameReading", stored);
    s.set("request.client_version_ok", true);
    if !is_new {
        verify_token(s);
    }
    s.own(Kind::Internal, "profile.validate", |s| {
        s.set("validation.rules", vec!["length", "alphabet", "blocklist"]);
        s.work(MS);
    });
    if s.rng.chance(0.01) {
        return Outcome::new(409, "this telephone number is registered already");
    }
    if is_new {
        let text = "INSERT INTO profiles (id, last_name, last_name_reading) VALUES ($1, $2, $3)";
        s.query("INSERT", "profiles", text, 3 * MS);
    } else {
        let text = "UPDATE profiles SET last_name = $2, last_name_reading = $3 WHERE id = $1";
        s.query("UPDATE", "profiles", text, 3 * MS);
    }
    Outcome::new(if is_new { 201 } else { 200 }, "")
}

use amida::TypeCounts;

use super::*;

fn names() -> Names {
    let table = |name: &str, columns: &[&str]| Table {
        name: name.to_owned(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
    };
    Names {
        tables: vec![
            table("events", &["trace_id", "name", "time", "attributes"]),
            table("services", &["service_name", "spans", "errors"]),
            table(
                "spans",
                &["trace_id", "name", "start_time", "attributes", "resource_attributes"],
            ),
        ],
        functions: vec!["nullif".to_owned(), "sum".to_owned(), "substr".to_owned()],
    }
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    let counts = TypeCounts([1, 0, 0, 0, 0]);
    for (scope, key) in [
        (Scope::Span, "http.route"),
        (Scope::Span, "http.method"),
        (Scope::Span, "it's"),
        (Scope::Span, "bad\u{1b}key"),
        (Scope::Resource, "host.name"),
        (Scope::Event, "attempt"),
    ] {
        catalog.add(scope, key, &counts);
    }
    catalog
}

/// What is offered where the bar stands, and the text that each would make.
fn offers(text: &str) -> Vec<String> {
    let cursor = text.find('\u{a6}').unwrap();
    let text = text.replace('\u{a6}', "");
    let (start, found) = complete(&text, cursor, &names(), &catalog());
    assert!(start <= cursor);
    found
        .into_iter()
        .map(|found| format!("{}{}{}", &text[..start], found.text, &text[cursor..]))
        .collect()
}

fn texts(text: &str) -> Vec<String> {
    let cursor = text.find('\u{a6}').unwrap();
    let text = text.replace('\u{a6}', "");
    complete(&text, cursor, &names(), &catalog()).1.into_iter().map(|found| found.text).collect()
}

#[test]
fn a_statement_begins_with_the_words_that_may_begin_one() {
    assert_eq!(offers("sel\u{a6}"), ["select"]);
    assert_eq!(offers("SEL\u{a6}"), ["SELECT"]);
    assert!(texts("\u{a6}").contains(&"FROM".to_owned()));
    assert_eq!(offers("SELECT 1; de\u{a6}"), ["SELECT 1; describe"]);
}

#[test]
fn tables_stand_behind_from_and_join() {
    assert_eq!(texts("FROM \u{a6}"), ["events", "services", "spans"]);
    assert_eq!(texts("SELECT 1 FROM S\u{a6}"), ["services", "spans"]);
    assert_eq!(texts("SELECT 1 FROM spans JOIN ev\u{a6}"), ["events"]);
    assert_eq!(texts("SELECT 1 FROM spans, ev\u{a6}"), ["events"]);
    assert_eq!(texts("DESCRIBE serv\u{a6}"), ["services"]);
    assert_eq!(texts("WITH slow AS (SELECT 1) SELECT 1 FROM sl\u{a6}"), ["slow"]);
}

#[test]
fn columns_are_those_of_the_tables_that_are_named() {
    assert_eq!(texts("SELECT \u{a6} FROM services"), ["errors", "service_name", "spans"]);
    assert_eq!(texts("SELECT er\u{a6} FROM services"), ["errors"]);
    assert_eq!(texts("SELECT er\u{a6}"), ["errors"]);
    assert_eq!(texts("SELECT sta\u{a6} FROM services WHERE name = ';'"), Vec::<String>::new());
    assert_eq!(texts("SELECT s.na\u{a6} FROM spans s JOIN services x ON true"), ["name"]);
    assert_eq!(
        texts("SELECT x.\u{a6} FROM spans AS s, services AS x"),
        ["errors", "service_name", "spans"]
    );
    assert_eq!(texts("SELECT sta\u{a6} FROM spans -- from services"), ["start_time"]);
    assert_eq!(texts("SELECT \"na\u{a6} FROM spans"), ["name\""]);
}

#[test]
fn functions_come_with_their_bracket_and_key_words_in_the_users_case() {
    assert_eq!(texts("SELECT su\u{a6} FROM services"), ["sum(", "substr("]);
    assert_eq!(texts("SELECT nu\u{a6}(1, 2) FROM services"), ["nullif", "null", "nulls"]);
    assert_eq!(texts("FROM services WHERE errors IS NU\u{a6}"), ["nullif(", "NULL", "NULLS"]);
    assert_eq!(texts("FROM spans |> ex\u{a6}"), ["except", "extend"]);
}

#[test]
fn keys_are_those_of_the_column_and_close_themselves() {
    assert_eq!(offers("SELECT attributes['http.r\u{a6}"), ["SELECT attributes['http.route']"]);
    assert_eq!(offers("SELECT attributes['HTTP.R\u{a6}"), ["SELECT attributes['http.route']"]);
    assert_eq!(
        offers("SELECT attributes['http.r\u{a6} FROM spans WHERE name = 'x'"),
        ["SELECT attributes['http.route'] FROM spans WHERE name = 'x'"]
    );
    assert_eq!(offers("SELECT attributes['http.r\u{a6}']"), ["SELECT attributes['http.route']"]);
    assert_eq!(offers("SELECT attributes['http.r\u{a6}]"), ["SELECT attributes['http.route']"]);
    assert_eq!(texts("SELECT attributes['\u{a6}"), ["http.method']", "http.route']", "it''s']"]);
    assert_eq!(texts("SELECT attributes[\u{a6}"), ["'http.method']", "'http.route']", "'it''s']"]);
    assert_eq!(texts("SELECT resource_attributes['\u{a6}"), ["host.name']"]);
    assert_eq!(texts("SELECT scope_attributes['\u{a6}"), Vec::<String>::new());
}

#[test]
fn keys_follow_the_table() {
    assert_eq!(texts("SELECT attributes['\u{a6} FROM events"), ["attempt']"]);
    let joined = "FROM spans s JOIN events e ON s.trace_id = e.trace_id";
    assert_eq!(texts(&format!("SELECT e.attributes['\u{a6} {joined}")), ["attempt']"]);
    assert_eq!(texts(&format!("SELECT s.attributes['http.m\u{a6} {joined}")), ["http.method']"]);
}

#[test]
fn nothing_is_offered_in_literals_and_comments() {
    for text in [
        "SELECT 'sp\u{a6}",
        "SELECT 'sp\u{a6}'",
        "SELECT 1 -- sp\u{a6}",
        "SELECT /* sp\u{a6}",
        "SELECT 12\u{a6}",
        "SELECT name['ht\u{a6}",
    ] {
        assert_eq!(texts(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn commands_and_their_values_are_completed() {
    assert_eq!(texts(".ti\u{a6}"), [".timing"]);
    assert_eq!(offers("SELECT 1;\n.schema sp\u{a6}"), ["SELECT 1;\n.schema spans"]);
    assert_eq!(texts(".timing o\u{a6}"), ["on", "off"]);
    assert_eq!(texts(".format cs\u{a6}"), ["csv"]);
    assert_eq!(texts(".tz asia/tok\u{a6}"), ["Asia/Tokyo"]);
    assert_eq!(texts(".tables\nSEL\u{a6}"), ["SELECT"]);
}

/// Completion is asked at any place of any text.
#[test]
fn no_text_and_no_place_in_it_stops_completion() {
    const PARTS: [&str; 20] = [
        "SELECT ",
        "FROM ",
        "spans",
        " s",
        ".",
        "attributes['",
        "attributes[",
        "'",
        "\"",
        "]",
        "(",
        ",",
        ";",
        "\n",
        "-- ",
        "/*",
        "|> ",
        ".tz ",
        "\u{65e5}\u{672c}",
        "E'\\",
    ];
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (names, catalog) = (names(), catalog());
    for _ in 0..2_000 {
        let count = random.usize(0..10);
        let text: String = (0..count).map(|_| PARTS[random.usize(0..PARTS.len())]).collect();
        for cursor in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            let (start, _) = complete(&text, cursor, &names, &catalog);
            assert!(start <= cursor && text.is_char_boundary(start), "{text:?} at {cursor}");
        }
    }
}

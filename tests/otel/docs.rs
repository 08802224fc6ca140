//! README's service is the one that is built, and the versions in the documents are those in use.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // reads the docs

fn read(path: &str) -> String {
    let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The code blocks of this language.
fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let from_fence = markdown.split(&fence).skip(1);
    from_fence.map(|text| text.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn readme_shows_the_service_that_is_built() {
    let example = read("engine/otel/examples/service.rs");
    let (_, program) = example.split_once("\n\n").unwrap();
    let shown = blocks(&read("README.md"), "rust");
    assert!(shown.contains(&program.to_owned()), "README.md does not show:\n{program}");
}

/// The version of a dependency that the workspace asks for.
fn version_of(name: &str) -> String {
    let manifest = read("Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with(&format!("{name} = ")));
    let quoted: Vec<&str> = line.unwrap_or_else(|| panic!("no {name}")).split('"').collect();
    quoted[1].to_owned()
}

#[test]
fn the_tables_of_versions_name_those_in_use() {
    let (otel, tracing) = (version_of("opentelemetry"), version_of("tracing-opentelemetry"));
    assert_eq!(otel, version_of("opentelemetry_sdk"));
    let (rust, own) = (version_of("rust-version"), version_of("version"));
    let own = own.rsplit_once('.').unwrap().0;
    let row = format!("| {own} | {otel} | {tracing} | {rust} |");
    for document in ["engine/otel/src/lib.rs", "docs/embedding.md"] {
        assert!(read(document).contains(&row), "{document} has no row {row}");
    }
    let readme = read("README.md");
    let shown = format!("tracing-opentelemetry = \"{tracing}\"");
    assert!(readme.contains(&shown), "README.md does not say {shown}");
}

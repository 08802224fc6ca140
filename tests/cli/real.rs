//! Real files through the command: counts as an independent reader found them.

use amida_tests::real;
use serde_json::json;

use crate::run::*;

#[test]
fn real_files_import_whole_and_read_back() {
    let Some(folder) = real::folder() else { return };
    let home = home();
    for set in real::data_sets(&folder, "otlp_json") {
        let store = home.path().join("store").join(set.name.replace(['/', '*', ' '], "_"));
        std::fs::create_dir_all(store.parent().unwrap()).unwrap();
        let store = store.to_str().unwrap();
        let mut args = vec!["import", store];
        args.extend(set.files.iter().map(|file| file.to_str().unwrap()));
        args.push("--json");
        let ran = amida(home.path(), &args);
        assert_eq!(ran.code, 0, "{}: {}", set.name, ran.err);
        assert_eq!(ran.json()["accepted"], set.number("spans"), "{}", set.name);
        let info = amida(home.path(), &["info", store, "--json"]).json();
        assert_eq!(info["spans"], set.number("spans"), "{}", set.name);
        assert_eq!(info["traces"], set.number("traces"), "{}", set.name);
        let per_service = set.counts("spans_per_service");
        let services = info["services"].as_array().unwrap();
        assert_eq!(services.len(), per_service.len(), "{}", set.name);
        for service in services {
            let name = service["name"].as_str().unwrap();
            assert_eq!(service["spans"], json!(per_service[name]), "{}: {name}", set.name);
        }
    }
}

#[test]
fn what_is_not_otlp_is_refused_whatever_its_name() {
    let Some(folder) = real::folder() else { return };
    let home = home();
    for (file, words) in [
        ("buildx/otlp.json", "stdouttrace"),
        ("buildx/bktraces.json", "stdouttrace"),
        ("buildx/jaeger.json", "this is Jaeger JSON"),
        ("zipkin/yelp.json", "this is Zipkin JSON"),
        ("MANIFEST.md", "text that begins with"),
    ] {
        let path = folder.join(file);
        if !path.is_file() {
            eprintln!("SKIPPED: {file} is not there");
            continue;
        }
        let ran = amida(home.path(), &["import", "s", path.to_str().unwrap()]);
        assert_eq!(ran.code, 1, "{file}");
        assert!(ran.err.contains(words), "{file}: {}", ran.err);
    }
}

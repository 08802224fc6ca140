//! The time zone in which times are shown. Only shown: what is stored and compared is UTC.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::datatypes::{DataType, Field};

use super::{distance, visible};

/// A time zone: `UTC`, a name of the IANA database, or an offset such as `+09:00`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(Arc<str>);

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self("UTC".into())
    }

    /// The zone of this name, in either case; `local` is the system's.
    ///
    /// # Errors
    /// Words for the user, with near names, when there is no such zone.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("local") {
            return local();
        }
        if text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc") {
            return Ok(Self::utc());
        }
        if text.starts_with(['+', '-']) {
            return match Tz::from_str(text) {
                Ok(_) => Ok(Self(text.into())),
                Err(_) => Err(format!(
                    "'{}' is no offset; expected one such as +09:00 or -03:30",
                    visible(text)
                )),
            };
        }
        match names().find(|name| name.eq_ignore_ascii_case(text)) {
            Some(name) => Ok(Self(name.into())),
            None => Err(unknown(text)),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The type in which values of this type are shown: times have this zone, in lists and structs
    /// too.
    pub fn shown(&self, data_type: &DataType) -> DataType {
        let inner = |field: &Field| {
            let data_type = self.shown(field.data_type());
            Arc::new(field.clone().with_data_type(data_type))
        };
        match data_type {
            DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, Some(self.0.clone())),
            DataType::List(item) => DataType::List(inner(item)),
            DataType::LargeList(item) => DataType::LargeList(inner(item)),
            DataType::Struct(fields) => {
                DataType::Struct(fields.iter().map(|field| inner(field)).collect())
            }
            other => other.clone(),
        }
    }
}

/// All names of the IANA database.
pub fn names() -> impl Iterator<Item = &'static str> {
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
}

/// The system's zone: `TZ`, else `/etc/localtime`, else `/etc/timezone`; a system that names none
/// runs on UTC.
fn local() -> Result<Zone, String> {
    let named = std::env::var("TZ").ok().map(|zone| zone.trim_start_matches(':').to_owned());
    let named = named.filter(|zone| !zone.is_empty());
    let Some(name) = named.or_else(|| system_zone(Path::new("/etc"))) else {
        return Ok(Zone::utc());
    };
    // A path is what TZ may hold too.
    let name = name.rsplit_once("zoneinfo/").map_or(name.as_str(), |(_, name)| name);
    if name.eq_ignore_ascii_case("local") {
        return Err("the system's time zone has no name; give one such as Asia/Tokyo".to_owned());
    }
    Zone::parse(name).map_err(|why| format!("the system's time zone: {why}"))
}

/// What the files of this folder say.
fn system_zone(etc: &Path) -> Option<String> {
    let link = std::fs::read_link(etc.join("localtime")).ok();
    let link = link.filter(|target| target.to_string_lossy().contains("zoneinfo/"));
    if let Some(target) = link {
        return Some(target.to_string_lossy().into_owned());
    }
    let text = std::fs::read_to_string(etc.join("timezone")).ok()?;
    let name = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    name.map(str::to_owned)
}

fn unknown(text: &str) -> String {
    const SHOWN: usize = 3;
    let wanted = text.to_lowercase();
    let city = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let nearness = |name: &str| {
        let whole = distance(&wanted, &name.to_lowercase());
        [whole, distance(&city(&wanted), &city(name))].into_iter().flatten().min()
    };
    // A long text would take long to compare, and is near to nothing.
    let mut near: Vec<(usize, &str)> = if text.len() > 64 {
        Vec::new()
    } else {
        names().filter_map(|name| nearness(name).map(|far| (far, name))).collect()
    };
    near.sort_by_key(|(far, name)| (*far, name.len()));
    let near: Vec<&str> = near.into_iter().take(SHOWN).map(|(_, name)| name).collect();
    let shown: String = visible(text).chars().take(80).collect();
    let hint = if near.is_empty() {
        "expected a name such as Asia/Tokyo, an offset such as +09:00, UTC or local".to_owned()
    } else {
        format!("did you mean {}?", near.join(" or "))
    };
    format!("there is no time zone '{shown}'; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::TimeUnit;

    #[test]
    fn names_are_taken_in_either_case_and_offsets_as_they_are() {
        for (text, name) in [
            ("Asia/Tokyo", "Asia/Tokyo"),
            ("asia/tokyo", "Asia/Tokyo"),
            ("utc", "UTC"),
            ("Z", "UTC"),
            ("+09:00", "+09:00"),
            ("-0330", "-0330"),
        ] {
            assert_eq!(Zone::parse(text).unwrap().name(), name);
            assert!(Tz::from_str(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn every_name_is_one_that_arrow_reads() {
        for name in names() {
            assert!(Tz::from_str(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn an_unknown_zone_is_named_with_near_ones() {
        let words = |text| Zone::parse(text).unwrap_err();
        assert!(words("Tokio").contains("did you mean Asia/Tokyo?"), "{}", words("Tokio"));
        assert!(words("Europe/Berln").contains("did you mean Europe/Berlin?"));
        assert!(words("+99:00").contains("no offset"));
        for far in ["no such place", "Mars/X", "x"] {
            assert!(words(far).contains("such as Asia/Tokyo"), "{}", words(far));
        }
        assert!(words("x\u{1b}[m").contains("x\\u{1b}[m"));
    }

    #[test]
    fn the_system_says_its_zone_by_a_link_or_a_file() {
        let etc = tempfile::tempdir().unwrap();
        assert_eq!(system_zone(etc.path()), None);
        std::fs::write(etc.path().join("timezone"), "# it\nEurope/Berlin\n").unwrap();
        assert_eq!(system_zone(etc.path()).as_deref(), Some("Europe/Berlin"));
        #[cfg(unix)]
        {
            let target = "/usr/share/zoneinfo/Asia/Tokyo";
            std::os::unix::fs::symlink(target, etc.path().join("localtime")).unwrap();
            assert_eq!(system_zone(etc.path()).as_deref(), Some(target));
        }
    }

    #[test]
    fn times_inside_lists_have_the_zone_too() {
        let utc = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        let list = DataType::new_list(utc, true);
        let shown = Zone::parse("Asia/Tokyo").unwrap().shown(&list).to_string();
        assert!(shown.contains("Asia/Tokyo") && !shown.contains("UTC"), "{shown}");
    }
}

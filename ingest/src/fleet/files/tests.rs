use super::*;

struct Bed {
    folder: tempfile::TempDir,
    source: FileSource,
}

impl Bed {
    /// A settings file without cameras and a folder beside it with these files.
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cameras")).unwrap();
        let settings = folder.path().join("city.toml");
        fs::write(&settings, "[ingest]\ncameras = \"cameras\"\n").unwrap();
        let bed = Self {
            source: FileSource::new(CameraFiles { settings, folder: Some(folder.path().join("cameras")) }),
            folder,
        };
        files.iter().for_each(|(name, text)| bed.write(name, text));
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("cameras").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Good ids, refused ids, number of mistakes.
    fn read(&mut self) -> (String, String, usize) {
        let Reading { cameras, mistakes } = self.source.read();
        let ids = |good| {
            let ids = cameras.iter().filter(|wanted| wanted.camera.is_ok() == good).map(|wanted| wanted.id.to_string());
            ids.collect::<Vec<_>>().join(" ")
        };
        (ids(true), ids(false), mistakes.len())
    }

    fn expect(&mut self, good: &str, refused: &str, n_mistakes: usize) {
        assert_eq!(
            self.read(),
            (good.to_owned(), refused.to_owned(), n_mistakes),
            "{:#?}",
            self.source.read().mistakes
        );
    }
}

fn rows(ids: &[&str]) -> String {
    ids.iter()
        .map(|id| {
            format!(
                "[[camera]]\nid = \"{id}\"\nurl = \"rtsp://10.0.0.1/{id}\"\n{}",
                crate::authorization::testing::TOML
            )
        })
        .collect()
}

const BAD: &str = "[[camera]]\nid = \"bad\"\nurl = \"http://10.0.0.1/1\"\nauthorization = { legal_class = \"799-9-other\", responsible_unit = \"Unit\", place = \"street\", first_used_on = \"2026-01-01\" }\n";

#[test]
fn in_a_new_file_one_bad_row_is_one_bad_camera() {
    let mut bed = Bed::new(&[("a.toml", &format!("{}{BAD}{}", rows(&["a"]), rows(&["b"])))]);
    bed.expect("a b", "bad", 1);
    let Reading { cameras, .. } = bed.source.read();
    let cause = cameras.iter().find_map(|wanted| wanted.camera.as_ref().err()).unwrap();
    assert!(cause.contains("a.toml:7: camera[1].url"), "{cause}");
}

#[test]
fn an_invalid_change_is_refused_whole() {
    let mut bed = Bed::new(&[("a.toml", &rows(&["a", "b"])), ("other.toml", &rows(&["c"]))]);
    bed.expect("a b c", "", 0);
    for text in [&format!("{}{BAD}", rows(&["a", "new"])), "[[camera]\n", "speed = 3\n"] {
        bed.write("a.toml", text);
        bed.write("other.toml", &rows(&["c", "d"]));
        let (good, _, n_mistakes) = bed.read();
        assert_eq!((good.as_str(), n_mistakes > 0), ("a b c d", true), "{text}");
    }
    bed.write("a.toml", &rows(&["b", "new"]));
    bed.expect("b new c d", "", 0);
}

#[test]
fn only_what_is_removed_goes() {
    let mut bed = Bed::new(&[("a.toml", &rows(&["a"])), ("b.toml", &rows(&["b"]))]);
    bed.expect("a b", "", 0);
    fs::remove_file(bed.path("b.toml")).unwrap();
    bed.expect("a", "", 0);
    fs::rename(bed.path("a.toml"), bed.path("a.off")).unwrap();
    bed.expect("a", "", 1);
    fs::rename(bed.path(""), bed.folder.path().join("away")).unwrap();
    bed.expect("a", "", 1);
    fs::rename(bed.folder.path().join("away"), bed.path("")).unwrap();
    bed.write("c.toml", &rows(&["c"]));
    bed.expect("c", "", 0);
}

#[test]
fn an_emptied_file_takes_nothing_with_it() {
    let mut bed = Bed::new(&[("a.toml", &rows(&["a"]))]);
    bed.expect("a", "", 0);
    bed.write("a.toml", " \n");
    bed.expect("a", "", 1);
    bed.write("a.toml", "# all cameras were taken down\n");
    bed.expect("", "", 0);
}

#[test]
fn of_two_with_one_id_the_first_counts() {
    let mut bed = Bed::new(&[("a.toml", &rows(&["a", "b"])), ("b.toml", &rows(&["b", "c"]))]);
    bed.expect("a b c", "", 1);
}

#[test]
fn a_swapped_link_is_a_change() {
    let bed = Bed::new(&[]);
    let (old, new) = (bed.folder.path().join("v1"), bed.folder.path().join("v2"));
    fs::write(&old, rows(&["a"])).unwrap();
    fs::write(&new, rows(&["b"])).unwrap();
    let link = bed.path("a.toml");
    std::os::unix::fs::symlink(&old, &link).unwrap();
    let before = signature(bed.source.files());
    assert_eq!(before, signature(bed.source.files()));
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&new, &link).unwrap();
    assert_ne!(before, signature(bed.source.files()));
}

const OF_ALL: &str = "[ingest]\ncameras = \"cameras\"\n[ingest.authorization]\nlegal_class = \"799-7-gov\"\n\
    responsible_unit = \"Unit\"\nnecessity = \"The lawn\"\nsignage_proof = \"S-1\"\nsignage_valid_until = \"2027-01-31\"\n\
    first_used_on = \"2026-11-01\"\n";

/// A camera of which only that is written what each must say for itself.
const BRIEF: &str = "[[camera]]\nid = \"a\"\nurl = \"rtsp://10.0.0.1/1\"\n\
    authorization = { place = \"park\", view_reviewed_on = \"2026-11-01\", view_valid_until = \"2027-10-31\" }\n";

fn state_of_a(bed: &mut Bed) -> crate::authorization::State {
    let cameras = bed.source.read().cameras;
    let camera = cameras[0].camera.as_ref().unwrap();
    crate::authorization::state(&camera.authorization, crate::fleet::testing::TODAY)
}

#[test]
fn p01_a_camera_without_class_and_unit_is_refused_unless_the_settings_say_them_for_all() {
    let mut bed = Bed::new(&[("a.toml", BRIEF)]);
    bed.expect("", "a", 3);
    let mistakes: Vec<String> = bed.source.read().mistakes.iter().map(ToString::to_string).collect();
    for key in ["legal_class", "responsible_unit", "first_used_on"] {
        let told = |mistake: &String| {
            mistake.contains(&format!("a.toml:4: camera[0].authorization.{key}: is missing; add {key} = "))
        };
        assert!(mistakes.iter().any(told), "{key}: {mistakes:#?}");
    }
    let settings = bed.folder.path().join("city.toml");
    fs::write(&settings, OF_ALL).unwrap();
    bed.expect("a", "", 0);
    let until =
        |year, month, day| crate::authorization::State::Active { last_day: jiff::civil::date(year, month, day) };
    assert_eq!(state_of_a(&mut bed), until(2026, 12, 1), "it is not filed yet");
    let filed = "filing = { number = \"F-1\", filed_on = \"2026-11-03\", legal_class = \"799-7-gov\", responsible_unit = \"Unit\" }\n";
    fs::write(&settings, format!("{OF_ALL}{filed}")).unwrap();
    assert_eq!(state_of_a(&mut bed), until(2026, 12, 1), "nobody said that the filing covers it");
    bed.write("a.toml", &BRIEF.replace(" }", ", filing = { place = \"park\" } }"));
    assert_eq!(state_of_a(&mut bed), until(2027, 1, 31));
    fs::write(&settings, format!("{OF_ALL}{filed}").replace("2027-01-31", "2027-06-30")).unwrap();
    assert_eq!(state_of_a(&mut bed), until(2027, 6, 30), "a sign renewed for all");
    fs::write(&settings, format!("{OF_ALL}{filed}place = \"park\"\n")).unwrap();
    let (good, _, n_mistakes) = bed.read();
    assert_eq!((good.as_str(), n_mistakes), ("a", 1), "what was said last of all goes on");
    assert!(bed.source.read().mistakes[0].to_string().contains("is said of each camera by itself"));
}

#[test]
fn p02_a_prohibited_place_counts_also_in_a_file_that_is_refused_whole() {
    let mut bed = Bed::new(&[("a.toml", &rows(&["a", "b"]))]);
    bed.expect("a b", "", 0);
    let prohibited = rows(&["a", "b"]).replacen("place = \"simulated\", n", "place = \"bath\", n", 1);
    bed.write("a.toml", &format!("{prohibited}{BAD}"));
    let Reading { cameras, .. } = bed.source.read();
    let prohibited: Vec<bool> = cameras
        .iter()
        .filter_map(|wanted| wanted.camera.as_ref().ok())
        .map(|camera| camera.authorization.place.is_prohibited())
        .collect();
    assert_eq!(prohibited, [true, false]);
}

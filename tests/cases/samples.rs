//! The sample settings that deployers copy, and what is said of mistakes in them.

use std::process::Command;

use xueliang_tests::deployment::Deployment;
use xueliang_tests::parts;
use xueliang_tests::simcam::Login;

fn validate(file: &std::path::Path) -> (bool, String) {
    let output =
        Command::new(parts::program("xueliang").unwrap()).arg("validate").arg("--config").arg(file).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn every_sample_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let deployment = Deployment::new(folder.path()).unwrap();
    let login = Login { user: "admin".to_owned(), password: "secret".to_owned() };
    deployment.add_street_camera("street-01", "rtsp://127.0.0.1:1/cam/1", &login).unwrap();
    xueliang_tests::mosquitto::make_certificates(folder.path()).unwrap();
    deployment.write_password("mqtt-password", &login).unwrap();
    std::fs::write(folder.path().join("push-tokens"), "a-token-long-enough-to-be-one\n").unwrap();
    for sample in ["demo.toml", "one-box.toml", "sensors.toml", "city-ingest.toml", "city-alerting.toml"] {
        let text = std::fs::read_to_string(parts::checkout().join("deploy/samples").join(sample)).unwrap();
        deployment.write(sample, &text, &[("LISTEN", "127.0.0.1:0")]).unwrap();
        let (valid, said) = validate(&folder.path().join(sample));
        assert!(valid, "{sample}: {said}");
    }
}

#[test]
fn all_mistakes_of_both_halves_come_at_once_with_line_and_cure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("city.toml");
    let text = "[ingest]\n\
        data_dir = \"state\"\n\
        speed = 3\n\
        [ingest.model]\n\
        manifest = \"m.toml\"\n\
        assessment = \"PIA-test\"\n\
        folder = \"weights\"\n\
        [alerting]\n\
        data_dir = \"state\"\n\
        region = \"here\"\n\
        [[camera]]\n\
        id = \"gate\"\n\
        url = \"rtsp://root:pw-in-url@192.0.2.1/1\"\n\
        [[camera.zone]]\n\
        id = \"yard\"\n\
        points = [[0, 0], [1, 1], [1, 0], [0, 1]]\n";
    std::fs::write(&file, text).unwrap();
    let (valid, said) = validate(&file);
    assert!(!valid);
    for expected in [
        "city.toml:3: ingest.speed: unknown key",
        "city.toml:10: alerting.region:",
        "city.toml:13: camera[0].url: carries credentials",
        "city.toml:16: camera[0].zone[0].points:",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    }
    assert!(!said.contains("pw-in-url"), "{said}");
}

//! Simulated cameras in a child process, so that what they cost is measured apart.

use std::{io::Read, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;

use crate::{
    args::{Coding, ServeArgs},
    child::Talker,
    footage::word,
    simcam::{Camera, Footage, SimCam},
};

/// Longest until a server has read its footage.
const START: Duration = Duration::from_secs(60);

/// The child's whole work: plays until standard input closes.
pub fn run(args: &ServeArgs) -> Result<()> {
    let cameras = Camera::spread("/cam", &Footage::read(&args.file, args.codec.into())?, args.cameras);
    let paths: Vec<String> = cameras.iter().map(|camera| camera.path.clone()).collect();
    let server = SimCam::start(0, None, cameras)?;
    let urls: Vec<String> = paths.iter().map(|path| server.url(path)).collect();
    println!("{}", json!({ "urls": urls }));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Running simulated cameras.
pub struct Street {
    servers: Vec<Talker>,
    /// Their addresses.
    pub urls: Vec<String>,
}

impl Street {
    /// Most cameras that one server process plays.
    const PER_SERVER: usize = 250;

    /// Starts `n` cameras on one file, spread over its length.
    pub fn start(file: &Path, codec: Coding, n: usize) -> Result<Self> {
        let mut street = Self { servers: Vec::new(), urls: Vec::new() };
        let n_servers = n.div_ceil(Self::PER_SERVER).max(1);
        for nth in 0..n_servers {
            let share = n / n_servers + usize::from(nth < n % n_servers);
            street.add(file, codec, share)?;
        }
        Ok(street)
    }

    /// Processor time of all servers so far.
    pub fn cpu(&self) -> Result<Duration> {
        self.servers.iter().map(Talker::cpu).sum()
    }

    fn add(&mut self, file: &Path, codec: Coding, n: usize) -> Result<()> {
        let arguments = ["serve", "--file", &file.display().to_string(), "--codec", &word(codec), "--cameras"];
        let mut arguments = arguments.map(str::to_owned).to_vec();
        arguments.push(n.to_string());
        let mut server = Talker::of_this_program("the simulated cameras", &arguments)?;
        let told = server.hear(START)?;
        let urls = told["urls"].as_array().context("the simulated cameras told no addresses")?;
        self.urls.extend(urls.iter().filter_map(|url| url.as_str().map(str::to_owned)));
        self.servers.push(server);
        Ok(())
    }
}

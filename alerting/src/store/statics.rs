//! Static objects that the rules have learnt, out of the memory of each device.

use xueliang_events::DeviceId;
use xueliang_rules::{Memory, Static};

use super::{
    Stored, Tx,
    columns::{json, key},
};

/// All of them, by device.
pub fn all(tx: &Tx<'_>) -> Stored<Vec<(DeviceId, Static)>> {
    let mut found = Vec::new();
    for row in tx.rows("SELECT device, json FROM rule_memory ORDER BY device", &[])? {
        let device: DeviceId = key(&row, "device", |text| text.parse().ok())?;
        let memory: Memory = json("rule memory", &row.get::<String>("json")?)?;
        found.extend(memory.statics().into_iter().map(|learnt| (device.clone(), learnt)));
    }
    Ok(found)
}

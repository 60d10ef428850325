//! The tables.

mod annotations;
mod clients;
mod data_manager;
mod imports;
mod interfaces;
mod labels;
mod projects;
mod storages;
mod tour;
mod values;
mod workers;

use crate::scenario::Table;

/// All tables; the first is what the demonstration shows.
pub fn tables() -> Vec<Table> {
    let furnished = |name, scenarios| Table { name, furnished: true, workers: false, scenarios };
    vec![
        Table { name: "the tour", furnished: false, workers: false, scenarios: tour::scenarios() },
        furnished("imports", imports::scenarios()),
        furnished("annotations", annotations::scenarios()),
        furnished("the data manager", data_manager::scenarios()),
        furnished("projects", projects::scenarios()),
        furnished("storages", storages::scenarios()),
        furnished("labels", labels::scenarios()),
        furnished("values that bite", values::scenarios()),
        furnished("interfaces", interfaces::scenarios()),
        furnished("clients", clients::scenarios()),
        Table { name: "workers", furnished: true, workers: true, scenarios: workers::scenarios() },
    ]
}

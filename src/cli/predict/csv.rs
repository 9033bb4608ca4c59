//! Predictions as a CSV file: what is known of each input, then what is predicted.

use serde_json::{Map, Value};
use std::collections::HashMap;
use wgrad::{Error, Result};

/// A table of predictions.
#[derive(Default)]
pub(super) struct PredictionTable {
    /// The names of the columns, in the order in which they were first met.
    names: Vec<String>,
    places: HashMap<String, usize>,
    rows: Vec<Vec<(usize, String)>>,
}

impl PredictionTable {
    /// Adds a row: the `cells` of the input, then the prediction `json`; of forecasts with their targets a row for each column.
    pub fn add(&mut self, cells: &[(&str, String)], json: &Map<String, Value>) {
        if let (Some(Value::Object(values)), Some(Value::Object(targets))) =
            (json.get("values"), json.get("targets"))
        {
            for (column, value) in values {
                let mut row = self.known(cells);
                // The date or number of the row comes before how far ahead it is.
                for key in ["date", "row", "after"] {
                    if let Some(value) = json.get(key) {
                        row.push((self.place(key), shown(value)));
                    }
                }
                let target = targets.get(column).unwrap_or(&Value::Null);
                let own = [
                    ("column", column.clone()),
                    ("prediction", shown(value)),
                    ("target", shown(target)),
                ];
                row.extend(own.map(|(name, cell)| (self.place(name), cell)));
                self.rows.push(row);
            }
            return;
        }
        let mut row = self.known(cells);
        let is_known = |name: &str| cells.iter().any(|(known, _)| *known == name);
        for (key, value) in json.iter().filter(|(key, _)| !is_known(key)) {
            match (&**key, value) {
                ("top", Value::Array(classes)) => self.add_classes(cells, classes, &mut row),
                ("embedding", Value::Array(values)) => {
                    for (number, value) in (1..).zip(values) {
                        let column = self.own(cells, &format!("embedding_{number}"));
                        row.push((column, shown(value)));
                    }
                }
                (_, Value::Object(values)) => {
                    for (name, value) in values {
                        row.push((self.own(cells, &format!("predicted_{name}")), shown(value)));
                    }
                }
                ("value", value) => row.push((self.own(cells, "prediction"), shown(value))),
                (_, value) => row.push((self.place(key), shown(value))),
            }
        }
        self.rows.push(row);
    }

    /// A row that begins with these cells.
    fn known(&mut self, cells: &[(&str, String)]) -> Vec<(usize, String)> {
        let cells = cells.iter();
        cells
            .map(|(name, cell)| (self.place(name), cell.clone()))
            .collect()
    }

    /// The most probable class, then the probabilities of all by the order of their names.
    fn add_classes(
        &mut self,
        cells: &[(&str, String)],
        classes: &[Value],
        row: &mut Vec<(usize, String)>,
    ) {
        let name = |class: &Value| shown(&class["class"]);
        if let Some(first) = classes.first() {
            row.push((self.own(cells, "prediction"), name(first)));
        }
        let mut sorted: Vec<&Value> = classes.iter().collect();
        sorted.sort_by_key(|class| name(class));
        for class in sorted {
            let column = self.own(cells, &format!("probability_{}", name(class)));
            row.push((column, shown(&class["probability"])));
        }
    }

    /// The column of the prediction called `name`, or `name.1`, `name.2`, … if columns of the input are called so.
    fn own(&mut self, cells: &[(&str, String)], name: &str) -> usize {
        let is_free = |wanted: &String| cells.iter().all(|(known, _)| known != wanted);
        let others = (1..).map(|number| format!("{name}.{number}"));
        let found = std::iter::once(name.to_string())
            .chain(others)
            .find(is_free);
        self.place(&found.unwrap_or_default())
    }

    fn place(&mut self, name: &str) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let place = self.names.len();
        self.names.push(name.to_string());
        self.places.insert(name.to_string(), place);
        place
    }

    /// The text of the file.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn text(&self) -> Result<Vec<u8>> {
        let unwritable =
            |e: csv::Error| Error::Data(format!("the predictions can't be written: {e}"));
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.names).map_err(unwritable)?;
        for row in &self.rows {
            let mut cells = vec![""; self.names.len()];
            for (place, cell) in row {
                cells[*place] = cell;
            }
            writer.write_record(&cells).map_err(unwritable)?;
        }
        writer
            .into_inner()
            .map_err(|e| Error::Data(format!("the predictions can't be written: {e}")))
    }
}

/// A value as a cell: texts without quotes, nothing for null.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn input_columns_prediction_and_probabilities_are_side_by_side() {
        let mut table = PredictionTable::default();
        let object = |value: Value| value.as_object().unwrap().clone();
        let cell = |name: &'static str, cell: &str| (name, cell.to_string());
        let top = json!({"top": [{"class": "yes", "probability": 0.75}, {"class": "no", "probability": 0.25}]});
        table.add(&[cell("age", "3"), cell("city", "A, B")], &object(top));
        table.add(
            &[cell("age", "4"), cell("city", "")],
            &object(json!({"error": "bad"})),
        );
        let text = String::from_utf8(table.text().unwrap()).unwrap();
        assert_eq!(
            text,
            "age,city,prediction,probability_no,probability_yes,error\n3,\"A, B\",yes,0.25,0.75,\n4,,,,,bad\n"
        );
        let mut table = PredictionTable::default();
        table.add(&[], &object(json!({"after": 1, "values": {"load": 2.5}})));
        let text = String::from_utf8(table.text().unwrap()).unwrap();
        assert_eq!(text, "after,predicted_load\n1,2.5\n");
        let mut table = PredictionTable::default();
        let forecast = json!({"after": 2, "date": "May", "values": {"a": 2.5, "b": 1}, "targets": {"a": 3, "b": 0}});
        table.add(&[cell("window", "7")], &object(forecast));
        let text = String::from_utf8(table.text().unwrap()).unwrap();
        assert_eq!(
            text,
            "window,date,after,column,prediction,target\n7,May,2,a,2.5,3\n7,May,2,b,1,0\n"
        );
    }
}

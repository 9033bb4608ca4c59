//! The XML files of Pascal VOC.

use crate::data::DataError;
use crate::data::formats::boxes::text_of;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use std::path::Path;

/// Maximum number of elements within each other.
const DEEPEST: usize = 64;

/// The annotation of an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Annotation {
    /// Name of the image file.
    pub image: String,
    /// The objects, in the order of the file.
    pub objects: Vec<Object>,
}

/// An object in an image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    pub class: String,
    /// `[xmin, ymin, xmax, ymax]`.
    pub corners: [f64; 4],
    pub is_difficult: bool,
}

/// The texts of an object as they were read.
#[derive(Default)]
struct Texts {
    class: Option<String>,
    corners: [Option<String>; 4],
    difficult: Option<String>,
}

const CORNERS: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

/// Reads the annotation in `path`.
///
/// # Errors
/// If it is no XML, no annotation, or an object lacks its name or a corner.
pub(super) fn read_annotation(path: &Path) -> Result<Annotation, DataError> {
    parsed(&text_of(path)?).map_err(|what| DataError::unusable(path, what))
}

fn parsed(text: &str) -> Result<Annotation, String> {
    let mut reader = Reader::from_str(text);
    let (mut annotation, mut objects) = (Annotation::default(), 0);
    let mut object = Texts::default();
    // The names of the elements around the current place, and the text in the innermost.
    let (mut path, mut content) = (Vec::<String>::new(), String::new());
    loop {
        let event = reader.read_event();
        let place = reader.buffer_position();
        match event.map_err(|e| format!("is no XML at byte {place}: {e}"))? {
            Event::Start(element) => {
                if path.len() >= DEEPEST {
                    return Err(format!("has over {DEEPEST} elements within each other"));
                }
                path.push(element.name().as_ref().to_string());
                content.clear();
                if path.len() == 2 && path[1] == "object" {
                    object = Texts::default();
                    objects += 1;
                }
            }
            Event::Text(text) => content += &text.xml10_content(),
            Event::CData(text) => content += &text.xml10_content(),
            Event::GeneralRef(name) => {
                let letter = name.resolve_char_ref().ok().flatten();
                content.extend(letter);
                content += resolve_predefined_entity(&name).unwrap_or_default();
            }
            Event::End(_) => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                let own = content.trim().to_string();
                match names[..] {
                    ["annotation", "filename"] => annotation.image = own,
                    ["annotation", "object", "name"] => object.class = Some(own),
                    ["annotation", "object", "difficult"] => object.difficult = Some(own),
                    ["annotation", "object", "bndbox", corner] => {
                        if let Some(at) = CORNERS.iter().position(|name| *name == corner) {
                            object.corners[at] = Some(own);
                        }
                    }
                    ["annotation", "object"] => {
                        let read = std::mem::take(&mut object).checked();
                        annotation
                            .objects
                            .push(read.map_err(|what| format!("has an object {objects} {what}"))?);
                    }
                    _ => {}
                }
                path.pop();
                content.clear();
            }
            Event::Eof => break,
            _ => {}
        }
        if path.len() == 1 && path[0] != "annotation" {
            return Err(format!("is no annotation: it begins with <{}>", path[0]));
        }
    }
    match path.last() {
        Some(open) => Err(format!("ends within <{open}>: it is truncated")),
        None if text.trim().is_empty() => Err("is empty".to_string()),
        None => Ok(annotation),
    }
}

impl Texts {
    fn checked(self) -> Result<Object, String> {
        let class = self.class.filter(|class| !class.is_empty());
        let mut corners = [0.0; 4];
        for ((corner, text), name) in corners.iter_mut().zip(self.corners).zip(CORNERS) {
            let text = text.ok_or_else(|| format!("without {name}"))?;
            *corner = text
                .parse()
                .map_err(|_| format!("whose {name} is \"{text}\", which is no number"))?;
        }
        Ok(Object {
            class: class.ok_or("without a name")?,
            corners,
            is_difficult: self.difficult.as_deref() == Some("1"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "<annotation><filename>a.jpg</filename><object><name>R&amp;B</name><difficult>1</difficult>\
        <bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>\
        <part><name>head</name><bndbox><xmin>9</xmin></bndbox></part></object></annotation>";

    #[test]
    fn an_object_has_its_name_and_corners_and_parts_of_it_are_ignored() {
        let read = parsed(ONE).unwrap();
        assert_eq!(read.image, "a.jpg");
        let object = Object {
            class: "R&B".to_string(),
            corners: [1.0, 2.5, 3.0, 4.0],
            is_difficult: true,
        };
        assert_eq!(read.objects, [object]);
        assert!(
            parsed("<annotation></annotation>")
                .unwrap()
                .objects
                .is_empty()
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let message = |text: &str| parsed(text).unwrap_err();
        assert_eq!(
            message(&ONE[..38]),
            "ends within <annotation>: it is truncated"
        );
        assert!(message(&ONE[..70]).starts_with("is no XML at byte"));
        assert_eq!(message(""), "is empty");
        assert_eq!(
            message("<kml><a/></kml>"),
            "is no annotation: it begins with <kml>"
        );
        assert_eq!(
            message(&ONE.replace("2.5", "x")),
            "has an object 1 whose ymin is \"x\", which is no number"
        );
        assert_eq!(
            message(&ONE.replace("<name>R&amp;B</name>", "")),
            "has an object 1 without a name"
        );
        let nested = "<annotation>".repeat(100);
        assert!(message(&nested).contains("within each other"));
    }
}

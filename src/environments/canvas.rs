//! Pictures of environments: shapes in a few colours, in units of the environment.

/// Colours of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Colour {
    /// Background.
    White,
    /// Outlines and walls.
    Black,
    /// Of things that do not matter.
    Grey,
    /// What moves.
    Blue,
    /// What moves with it.
    Brown,
    /// A goal.
    Green,
    /// What must not be hit.
    Red,
}

impl Colour {
    /// Red, green and blue.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Colour::White => [255, 255, 255],
            Colour::Black => [30, 30, 30],
            Colour::Grey => [190, 190, 190],
            Colour::Blue => [40, 90, 200],
            Colour::Brown => [200, 150, 100],
            Colour::Green => [40, 160, 70],
            Colour::Red => [210, 70, 60],
        }
    }
}

/// A picture. Shapes are given in units whose origin and scale [`Canvas::new`] sets, with the vertical axis upwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Canvas {
    width: usize,
    height: usize,
    left: f64,
    top: f64,
    /// Pixels per unit.
    scale: f64,
    pixels: Vec<Colour>,
}

/// Pixels of the longer side of a picture.
const LONGER_SIDE: f64 = 240.0;

impl Canvas {
    /// A white picture of everything from `left` to `right` and from `bottom` to `top`.
    pub fn new([left, right]: [f64; 2], [bottom, top]: [f64; 2]) -> Canvas {
        let scale = LONGER_SIDE / (right - left).max(top - bottom);
        let width = ((right - left) * scale).round().max(1.0) as usize;
        let height = ((top - bottom) * scale).round().max(1.0) as usize;
        Canvas {
            width,
            height,
            left,
            top,
            scale,
            pixels: vec![Colour::White; width * height],
        }
    }

    /// Pixels of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The colour of the pixel in column `x` of row `y`; white outside of the picture.
    pub fn pixel(&self, x: usize, y: usize) -> Colour {
        let inside = x < self.width && y < self.height;
        let place = inside.then(|| y * self.width + x);
        place.map_or(Colour::White, |place| self.pixels[place])
    }

    /// Fills all pixels for whose centre `inside` holds, within the given range of units.
    fn fill(
        &mut self,
        [left, right]: [f64; 2],
        [bottom, top]: [f64; 2],
        colour: Colour,
        inside: impl Fn(f64, f64) -> bool,
    ) {
        let column = |x: f64| ((x - self.left) * self.scale).clamp(0.0, self.width as f64);
        let row = |y: f64| ((self.top - y) * self.scale).clamp(0.0, self.height as f64);
        let columns = column(left).floor() as usize..column(right).ceil() as usize;
        let rows = row(top).floor() as usize..row(bottom).ceil() as usize;
        for y in rows {
            for x in columns.clone() {
                let at = self.left + (x as f64 + 0.5) / self.scale;
                let up = self.top - (y as f64 + 0.5) / self.scale;
                if inside(at, up) {
                    self.pixels[y * self.width + x] = colour;
                }
            }
        }
    }

    /// A disc.
    pub fn disc(&mut self, [x, y]: [f64; 2], radius: f64, colour: Colour) {
        let near = |a: f64, b: f64| (a - x).powi(2) + (b - y).powi(2) <= radius * radius;
        self.fill(
            [x - radius, x + radius],
            [y - radius, y + radius],
            colour,
            near,
        );
    }

    /// A convex polygon; its points go around it in either direction.
    pub fn polygon(&mut self, points: &[[f64; 2]], colour: Colour) {
        let extent = |axis: usize| {
            let values = points.iter().map(|point| point[axis]);
            values.fold([f64::MAX, f64::MIN], |[low, high], v| {
                [low.min(v), high.max(v)]
            })
        };
        let inside = |x: f64, y: f64| {
            let ends = points.iter().skip(1).chain(points.first());
            let side = |(a, b): (&[f64; 2], &[f64; 2])| {
                (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])
            };
            let mut sides = points.iter().zip(ends).map(side);
            sides.clone().all(|side| side >= 0.0) || sides.all(|side| side <= 0.0)
        };
        self.fill(extent(0), extent(1), colour, inside);
    }

    /// A straight line of this width in units.
    pub fn line(&mut self, from: [f64; 2], to: [f64; 2], width: f64, colour: Colour) {
        let along = [to[0] - from[0], to[1] - from[1]];
        let length = along[0].hypot(along[1]).max(1e-9);
        // At least one row of pixel centres lies within one and a half pixels.
        let half = 0.5 * width.max(1.5 / self.scale);
        let across = [-along[1] / length * half, along[0] / length * half];
        let corner =
            |point: [f64; 2], sign: f64| [point[0] + sign * across[0], point[1] + sign * across[1]];
        let corners = [
            corner(from, 1.0),
            corner(to, 1.0),
            corner(to, -1.0),
            corner(from, -1.0),
        ];
        self.polygon(&corners, colour);
    }

    /// A rectangle from one corner to the opposite one.
    pub fn rectangle(&mut self, [a, b]: [f64; 2], [c, d]: [f64; 2], colour: Colour) {
        self.polygon(&[[a, b], [c, b], [c, d], [a, d]], colour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_where_they_are_in_units() {
        let mut canvas = Canvas::new([-2.0, 2.0], [0.0, 2.0]);
        assert_eq!((canvas.width(), canvas.height()), (240, 120));
        canvas.rectangle([0.0, 0.0], [2.0, 1.0], Colour::Red);
        canvas.disc([-1.0, 1.5], 0.25, Colour::Blue);
        canvas.line([-2.0, 0.5], [0.0, 0.5], 0.1, Colour::Black);
        let at =
            |x: f64, y: f64| canvas.pixel(((x + 2.0) * 60.0) as usize, ((2.0 - y) * 60.0) as usize);
        assert_eq!(at(1.0, 0.5), Colour::Red);
        assert_eq!(at(1.0, 1.5), Colour::White);
        assert_eq!(at(-1.0, 1.5), Colour::Blue);
        assert_eq!(at(-1.0, 1.0), Colour::White);
        assert_eq!(at(-1.0, 0.5), Colour::Black);
        assert_eq!(canvas.pixel(1000, 0), Colour::White);
        // What lies outside is cut off.
        canvas.disc([5.0, 5.0], 1.0, Colour::Red);
        canvas.disc([2.0, 2.0], 0.2, Colour::Green);
        assert_eq!(canvas.pixel(239, 0), Colour::Green);
    }
}

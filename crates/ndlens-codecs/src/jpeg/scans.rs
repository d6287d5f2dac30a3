//! All scans of an image, into its coefficients.
//!
//! A scan of several components goes MCU by MCU, over blocks beyond the edge too; one of a single
//! component goes block by block, over those that the component has. T.81, A.2.

use super::bands::{BlockReader, Part};
use super::bits::{BitPlace, Bits};
use super::coefficients::{CoefficientPlane, mcus, prepare};
use super::huffman::Code;
use super::intervals::Intervals;
use super::markers::{Markers, damaged};
use crate::error::Result;

/// Scans of an image. Encoders write about ten; each may take the time of a whole image.
const MOST_SCANS: usize = 100;

/// The quantisation tables of the components, in the order of the zigzag.
pub(super) type Quantisation = [[u16; 64]; 4];

/// Reads all scans.
pub(super) fn read_all<'a>(
    bytes: &'a [u8],
    first: &Markers<'a>,
    components: &mut [CoefficientPlane; 4],
    data: &mut Vec<u8>,
) -> Result<Quantisation> {
    prepare(components, &first.frame)?;
    // A table may be sent anew for each scan. The one of a component's first scan counts.
    let mut tables: [Option<[u16; 64]>; 4] = [None; 4];
    let mut markers = first.clone();
    for _ in 0..MOST_SCANS {
        for scanned in markers.scan.components() {
            let place = markers.frame.components()[scanned.component].quantisation;
            let table = tables[scanned.component].or(markers.quantisation[place]);
            let missing = || damaged("a quantisation table is missing");
            tables[scanned.component] = Some(table.ok_or_else(missing)?);
        }
        let end = read_scan(bytes, &markers, components, data)?;
        match markers.next_scan(bytes, end)? {
            Some(next) => markers = next,
            None => return complete(&tables, first.frame.components().len()),
        }
    }
    Err(damaged(format!("it has more than {MOST_SCANS} scans")))
}

fn complete(tables: &[Option<[u16; 64]>; 4], count: usize) -> Result<Quantisation> {
    if let Some(missing) = tables.iter().take(count).position(Option::is_none) {
        return Err(damaged(format!("it has no scan of component {missing}")));
    }
    Ok(tables.map(|table| table.unwrap_or([0; 64])))
}

/// Reads the scan that the markers end with. Returns where its data ends.
fn read_scan(
    bytes: &[u8],
    markers: &Markers<'_>,
    components: &mut [CoefficientPlane; 4],
    data: &mut Vec<u8>,
) -> Result<usize> {
    let scan = &markers.scan;
    let part = Part::of(scan, markers.frame.process == 0xC2)?;
    let (needs_dc, needs_ac) = part.codes();
    let mut readers: [Option<BlockReader>; 4] = [None, None, None, None];
    for (reader, scanned) in readers.iter_mut().zip(scan.components()) {
        let code = |needs: bool, segment: Option<&[u8]>| match segment {
            Some(segment) if needs => Code::new(segment).map(Some),
            _ => Ok(None),
        };
        *reader = Some(BlockReader {
            part,
            dc: code(needs_dc, markers.dc_codes[scanned.dc])?,
            ac: code(needs_ac, markers.ac_codes[scanned.ac])?,
            band: scan.band,
            low: if part == Part::All { 0 } else { scan.low },
            last_dc: 0,
            empty: 0,
        });
    }
    let (across, down) = match scan.components() {
        [only] => {
            let component = &components[only.component];
            (component.across, component.down)
        }
        _ => mcus(&markers.frame),
    };
    let interval = match markers.restart_interval {
        0 => usize::MAX,
        interval => interval,
    };
    let mut intervals = Intervals::new(bytes, markers.data_start);
    let all = across * down;
    let mut done = 0;
    while done < all {
        if done > 0 {
            intervals.restart()?;
        }
        intervals.read(data)?;
        let mut bits = Bits::new(data, BitPlace::default());
        readers.iter_mut().flatten().for_each(BlockReader::restart);
        for mcu in done..all.min(done.saturating_add(interval)) {
            let place = (mcu % across, mcu / across);
            for (reader, scanned) in readers.iter_mut().flatten().zip(scan.components()) {
                let component = &mut components[scanned.component];
                if scan.components().len() == 1 {
                    reader.read(&mut bits, component.block_mut(place.0, place.1))?;
                    continue;
                }
                let (horizontal, vertical) = (component.horizontal, component.vertical);
                for row in 0..vertical {
                    for column in 0..horizontal {
                        let block = component
                            .block_mut(place.0 * horizontal + column, place.1 * vertical + row);
                        reader.read(&mut bits, block)?;
                    }
                }
            }
        }
        if bits.overran() {
            return Err(damaged("its data ends within a scan"));
        }
        done = done.saturating_add(interval);
    }
    Ok(intervals.end())
}

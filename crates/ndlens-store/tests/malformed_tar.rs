//! Malformed tar archives: the error is typed, has exactly this text, and comes at once. Archives
//! of every kind that can be read are read.
//!
//! `cargo test -p ndlens-store --test malformed_tar`

mod harness;

use std::fs;
use std::path::Path;

use ndlens_store::{Error, MapMode, Missing, Opened, Options, TarSamples};

use crate::harness::{assert_says, file};

const BLOCK: usize = 512;

/// A header with its checksum.
fn header(name: &[u8], size: &[u8], kind: u8, magic: &[u8]) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[124..124 + size.len()].copy_from_slice(size);
    block[156] = kind;
    block[257..257 + magic.len()].copy_from_slice(magic);
    sealed(block)
}

fn sealed(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

const POSIX: &[u8] = b"ustar\x0000";

fn octal(size: usize) -> Vec<u8> {
    format!("{size:011o}\0").into_bytes()
}

fn with_data(mut header: Vec<u8>, data: &[u8]) -> Vec<u8> {
    header.extend(data);
    header.resize(header.len().next_multiple_of(BLOCK), 0);
    header
}

fn member(name: &str, data: &[u8]) -> Vec<u8> {
    with_data(header(name.as_bytes(), &octal(data.len()), b'0', POSIX), data)
}

fn special(kind: u8, data: &[u8]) -> Vec<u8> {
    with_data(header(b"special", &octal(data.len()), kind, POSIX), data)
}

fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = parts.concat();
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

/// A record of PAX.
fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let len = (rest..rest + 9).find(|len| len - len.to_string().len() == rest).unwrap();
    format!("{len} {key}={value}\n")
}

fn open(path: &Path, mode: MapMode) -> Result<TarSamples, Error> {
    match (Options { mode, ..Options::default() }).open(path)? {
        Opened::Samples(samples) => Ok(samples),
        other => panic!("{other:?}"),
    }
}

fn read(samples: &TarSamples, field: &str) -> Vec<Vec<u8>> {
    let field = samples.field(field.as_bytes()).unwrap();
    let read = |index| {
        let item = field.item(index).unwrap();
        let mut bytes = vec![0; item.nbytes()];
        item.read_into(&mut bytes).unwrap();
        bytes
    };
    (0..field.len()).map(read).collect()
}

/// The error of opening, without the path.
#[track_caller]
fn refused(bytes: &[u8], expected: &str) {
    let (_directory, path) = file("x.tar", bytes);
    for mode in [MapMode::Read, MapMode::CopyOnWrite] {
        assert_says(&open(&path, mode).unwrap_err(), &path, &format!(": bad archive: {expected}"));
    }
}

/// Asserts that the archive has one sample `key` with this text.
#[track_caller]
fn holds(bytes: &[u8], key: &str, text: &[u8]) {
    let (_directory, path) = file("x.tar", bytes);
    let samples = open(&path, MapMode::Read).unwrap();
    assert_eq!((samples.len(), samples.key(0)), (1, key.as_bytes()));
    assert_eq!(read(&samples, "txt"), [text]);
}

#[test]
fn archives_of_every_kind_are_read() {
    let whole = archive(&[member("a.txt", b"seven")]);
    holds(&whole, "a", b"seven");
    let old = with_data(header(b"a.txt", &octal(5), 0, b""), b"seven");
    holds(&archive(&[old]), "a", b"seven");
    let gnu = with_data(header(b"a.txt", &octal(5), b'0', b"ustar  \0"), b"seven");
    holds(&archive(&[gnu]), "a", b"seven");
    let contiguous = with_data(header(b"a.txt", &octal(5), b'7', POSIX), b"seven");
    holds(&archive(&[contiguous]), "a", b"seven");
    let mut prefixed = header(b"a.txt", &octal(5), b'0', POSIX);
    prefixed[345..350].copy_from_slice(b"train");
    holds(&archive(&[with_data(sealed(prefixed), b"seven")]), "train/a", b"seven");
    let base_256 =
        with_data(header(b"a.txt", b"\x80\0\0\0\0\0\0\0\0\0\0\x05", b'0', POSIX), b"seven");
    holds(&archive(&[base_256]), "a", b"seven");
    // One block of zeros, and as many as writers fill up.
    holds(&whole[..whole.len() - BLOCK], "a", b"seven");
    holds(&[&whole[..], &[0; 20 * BLOCK]].concat(), "a", b"seven");
}

#[test]
fn long_names_and_records_are_those_of_the_next_member() {
    let long = format!("{}/b.txt", "a".repeat(300));
    let key = long.strip_suffix(".txt").unwrap();
    let named = special(b'L', format!("{long}\0").as_bytes());
    holds(&archive(&[named, member("aaa", b"seven")]), key, b"seven");
    let records = special(b'x', record("path", &long).as_bytes());
    holds(&archive(&[records.clone(), member("aaa", b"seven")]), key, b"seven");
    let comment = special(b'g', record("comment", "0123").as_bytes());
    holds(&archive(&[comment, records, member("aaa", b"seven")]), key, b"seven");
    let feed = special(b'x', record("path", "line\nfeed=.txt").as_bytes());
    holds(&archive(&[feed, member("aaa", b"seven")]), "line\nfeed=", b"seven");
    // The header's size is 0, as it is for what does not fit it.
    let mut data = header(b"b.txt", &octal(0), b'0', POSIX);
    data.extend(with_data(b"seven".to_vec(), b""));
    let size = special(b'x', record("size", "5").as_bytes());
    holds(&archive(&[size, data]), "b", b"seven");
    // Records of a directory, and a long link, are not those of the file after them.
    let records = special(b'x', record("path", "c").as_bytes());
    let directory = header(b"c/", &octal(0), b'5', POSIX);
    let link = special(b'K', b"target\0");
    holds(&archive(&[records, directory, link, member("b.txt", b"7")]), "b", b"7");
}

#[test]
fn what_is_no_file_is_left_out() {
    let parts = [
        header(b"d/", &octal(0), b'5', POSIX),
        header(b"old.d/", &octal(0), 0, b""),
        // The size of a link is that of its target.
        header(b"link.txt", &octal(700), b'2', POSIX),
        header(b"hard.txt", &octal(700), b'1', POSIX),
        header(b"fifo.txt", &octal(0), b'6', POSIX),
        special(b'V', b""),
        special(b'Q', b"of some vendor"),
        member("README", b"no extension"),
        member("d/._a.txt", b"of macOS"),
        member("__index__/a.txt", b"of WebDataset"),
        member("a.txt", b"seven"),
    ];
    holds(&archive(&parts), "a", b"seven");
}

#[test]
fn damaged_headers_are_refused() {
    let mut bytes = archive(&[member("a.txt", b"seven"), member("b.txt", b"")]);
    bytes[2 * BLOCK] ^= 1;
    refused(
        &bytes,
        "the header at byte 1024 has the checksum 3700, but says 3677 (the last whole member is \
         \"a.txt\")",
    );
    refused(
        &archive(&[vec![b'x'; BLOCK]]),
        "the header at byte 0 has the checksum 166500, but says something that is not a number",
    );
    for size in [&b"9"[..], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"-1"] {
        refused(
            &archive(&[header(b"a.txt", size, b'0', POSIX)]),
            "the header at byte 0 has a size that is not a number of 64 bits",
        );
    }
    for records in ["x", "5 ab\n", "99 path=x\n", &record("size", "-1")] {
        refused(
            &archive(&[special(b'x', records.as_bytes()), member("a.txt", b"")]),
            "the PAX records of the header at byte 0 are malformed",
        );
    }
}

#[test]
fn truncated_archives_name_their_last_whole_member() {
    let bytes = archive(&[member("a.txt", b"seven"), member("b.txt", &[1; 700])]);
    let ends = |len: usize| {
        format!(
            "truncated: it ends at byte {len} without the block of zeros that ends an archive (the \
             last whole member is \"a.txt\"); if no member is missing, add them: head -c 1024 \
             /dev/zero >> ARCHIVE"
        )
    };
    refused(&bytes[..2 * BLOCK], &ends(1024));
    refused(&bytes[..2 * BLOCK + 100], &ends(1024));
    for len in [3 * BLOCK, 3 * BLOCK + 1, 3 * BLOCK + 699] {
        refused(
            &bytes[..len],
            &format!(
                "truncated: member \"b.txt\" has 700 bytes from byte 1536 on, but the archive has \
                 {len} (the last whole member is \"a.txt\")"
            ),
        );
    }
    refused(&bytes[..3 * BLOCK + 700], &ends(2560).replace("a.txt", "b.txt"));
    for len in [0, 1, BLOCK - 1] {
        refused(
            &bytes[..len],
            "truncated: it ends at byte 0 without the block of zeros that ends an archive; if no \
             member is missing, add them: head -c 1024 /dev/zero >> ARCHIVE",
        );
    }
}

#[test]
fn sizes_that_are_claimed_take_no_memory() {
    for size in [&b"77777777777\0"[..], b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"] {
        let (_directory, path) = file("x.tar", &archive(&[header(b"a.txt", size, b'0', POSIX)]));
        let text = open(&path, MapMode::Read).unwrap_err().to_string();
        assert!(text.contains("truncated: member \"a.txt\" has "), "{text}");
    }
    let claimed = u64::MAX.to_string();
    let records = special(b'x', record("size", &claimed).as_bytes());
    let (_directory, path) = file("x.tar", &archive(&[records, member("a.txt", b"")]));
    let text = open(&path, MapMode::Read).unwrap_err().to_string();
    assert!(text.contains(&format!("has {claimed} bytes from byte 1536 on")), "{text}");
    let long = vec![b'a'; (1 << 20) + 1];
    refused(
        &archive(&[special(b'L', &long), member("a.txt", b"")]),
        "the header at byte 0 announces 1048577 bytes about a member, expected at most 1048576",
    );
}

#[test]
fn archives_that_cannot_be_mapped_say_what_to_type() {
    refused(
        &archive(&[special(b'S', b"")]),
        "member \"special\" is stored as a sparse file, whose bytes are not all in the archive; \
         pack it anew: tar xf ARCHIVE, then tar cf without --sparse",
    );
    let sparse = special(b'x', record("GNU.sparse.major", "1").as_bytes());
    refused(
        &archive(&[sparse, member("a.txt", b"")]),
        "member \"a.txt\" is stored as a sparse file, whose bytes are not all in the archive; pack \
         it anew: tar xf ARCHIVE, then tar cf without --sparse",
    );
    refused(
        &archive(&[special(b'M', b"")]),
        "member \"special\" began in another archive of several volumes; unpack them with tar xfM",
    );
    let all = special(b'g', record("path", "a").as_bytes());
    refused(
        &archive(&[all, member("a.txt", b"")]),
        "the PAX header at byte 0 gives all members one name or size, which is not supported; pack \
         it anew: tar xf ARCHIVE, then tar cf",
    );
    let one = archive(&[member("a.txt", b"seven")]);
    refused(
        &[&one[..], &one[..]].concat(),
        "has data at byte 2048, after its end, which tar leaves out; if archives were appended \
         with cat, unpack them all with tar xif ARCHIVE, or keep each by itself",
    );
    refused(
        &archive(&[special(b'L', b"a.txt\0")]),
        "at byte 1024 it ends, where a member must follow that was announced",
    );
    refused(
        &archive(&[member("a.txt", b""), member("a.TXT", b"")]),
        "sample \"a\" has two members with the extension \"txt\"; the second is at byte 1024",
    );
}

#[test]
fn compressed_archives_say_how_to_decompress_them() {
    for (name, magic, command) in [
        ("x.tar.gz", &b"\x1f\x8b\x08"[..], "gunzip"),
        ("x.tgz", b"\x1f\x8b\x08", "gunzip"),
        ("x.tar", b"\x1f\x8b\x08", "gunzip"),
        ("x.tar.bz2", b"BZh9", "bunzip2"),
        ("x.tar.xz", b"\xfd7zXZ\0", "unxz"),
        ("x.tar.zst", b"\x28\xb5\x2f\xfd", "unzstd"),
    ] {
        let (_directory, path) = file(name, magic);
        let expected = format!(
            ": compressed, so its members cannot be mapped; decompress it first: {command} {}",
            path.display()
        );
        assert_says(&open(&path, MapMode::Read).unwrap_err(), &path, &expected);
    }
}

#[test]
fn a_sample_that_lacks_a_field_is_an_error_or_left_out() {
    let parts = [
        member("a.txt", b"seven"),
        member("a.cls", b"7"),
        member("b.txt", b"eight"),
        member("c.txt", b"nine"),
        member("c.cls", b"9"),
    ];
    let (_directory, path) = file("x.tar", &archive(&parts));
    let samples = open(&path, MapMode::Read).unwrap();
    assert_eq!(read(&samples, "txt"), [&b"seven"[..], b"eight", b"nine"]);
    let lacks = ": sample \"b\" has no \"cls\"; choose fields that all samples have, \
                 samples.select(NAME, ..), or leave such samples out, samples.select(NAME, .., \
                 missing=\"skip\")";
    assert_says(&samples.field(b"cls").unwrap_err(), &path, lacks);
    let both: [&[u8]; 2] = [b"cls", b"txt"];
    assert_says(&samples.select(&both, Missing::Raise).unwrap_err(), &path, lacks);
    let kept = samples.select(&both, Missing::Skip).unwrap();
    assert_eq!((kept.len(), kept.fields().unwrap()), (2, both.to_vec()));
    assert_eq!(read(&kept, "txt"), [&b"seven"[..], b"nine"]);
    assert_eq!((kept.key(1), kept.archive_of(1)), (&b"c"[..], &*path));
    // A field that is dropped later still leaves out what lacks it, also in another process.
    let text = kept.select(&both[1..], Missing::Raise).unwrap();
    assert_eq!(read(&text, "txt"), [&b"seven"[..], b"nine"]);
    let same = TarSamples::from_handle(&text.to_handle().unwrap()).unwrap();
    assert_eq!(read(&same, "txt"), [&b"seven"[..], b"nine"]);
    assert_says(
        &samples.field(b"png").unwrap_err(),
        &path,
        ": no field \"png\"; it has \"txt\", \"cls\"",
    );
    let copy = Options { copy: true, ..Options::default() }.open(&path).unwrap_err();
    let expected = ": members of a tar archive are read where they are; open it without copy=True";
    assert_says(&copy, &path, expected);
}

#[test]
fn an_archive_among_other_files_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let [first, second] = ["a.tar", "b.npy"].map(|name| directory.path().join(name));
    fs::write(&first, archive(&[member("a.txt", b"seven")])).unwrap();
    fs::write(&second, b"\x93NUMPY\x01\x00").unwrap();
    let error = Options::default().open(&directory.path().join("*")).unwrap_err();
    assert_says(
        &error,
        &second,
        ": not a tar archive, as the first of the files is; open the others apart",
    );
}

#[test]
fn a_writer_that_the_crate_tar_has_is_read_as_it_reads_itself() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.tar");
    let mut builder = tar::Builder::new(fs::File::create(&path).unwrap());
    let mut expected = vec![];
    for number in 0..300usize {
        let name = format!("{}/{number}.bin", "d".repeat(number));
        let data = vec![number as u8; number * 7];
        let mut header =
            if number % 2 == 0 { tar::Header::new_gnu() } else { tar::Header::new_ustar() };
        header.set_size(data.len() as u64);
        if builder.append_data(&mut header, &name, &data[..]).is_ok() {
            expected.push((name, data));
        }
    }
    builder.finish().unwrap();
    assert!(expected.len() > 200);
    let samples = open(&path, MapMode::Read).unwrap();
    let keys: Vec<_> = (0..samples.len()).map(|at| samples.key(at).to_vec()).collect();
    let data = read(&samples, "bin");
    let got: Vec<_> = keys.into_iter().zip(data).collect();
    let expected = expected
        .into_iter()
        .map(|(name, data)| (name.strip_suffix(".bin").unwrap().as_bytes().to_vec(), data));
    assert_eq!(got, expected.collect::<Vec<_>>());
}

// The inner loop of chunker 1, in AssemblyScript: docs/formats/archive-v1.md section 12 says what it computes.
// `npm run build:wasm` compiles it to src/chunker/gear.wasm. Memory is fixed; nothing is ever allocated.
//
// Source of the algorithm: Xia et al., "FastCDC" (USENIX ATC 2016), normalised chunking level 2; two bytes a
// step as in their "The Design of Fast Content-Defined Chunking" (IEEE TPDS 2020).

/** Where the caller writes the table T: 256 little-endian u64. */
export const tableOffset: i32 = 4096;
/** T with every entry doubled, so that two bytes cost one step of the chain of dependent sums. */
const DOUBLED: usize = 6144;
/** Where the bytes of files lie. */
export const arenaOffset: i32 = 65536;
/** Two pieces of the greatest length: what is left of one read always leaves room for more than 1 MiB. */
export const arenaBytes: i32 = 2097152;

const TABLE: usize = 4096;
const MIN_BYTES: u32 = 65536;
const AVERAGE_BYTES: u32 = 262144;
/** A piece has at most this many bytes. */
export const maxBytes: i32 = 1048576;

/** h < 2^44 says that the top 20 bits of h are zero; h < 2^48, the top 16. */
const STRICT: u64 = 1 << 44;
const LOOSE: u64 = 1 << 48;

/** The piece under way: its hash so far, and how many of its bytes were passed over or hashed. */
let hash: u64 = 0;
let scannedBytes: u32 = 0;

/** Call once after the table has been written. */
export function prepare(): void {
  for (let i: usize = 0; i < 2048; i += 8) {
    store<u64>(i, load<u64>(i, TABLE) << 1, DOUBLED);
  }
}

/** Forgets the piece under way. */
export function restart(): void {
  hash = 0;
  scannedBytes = 0;
}

/**
 * Length of the piece that starts `start` bytes into the arena; 0 when it does not end within its first
 * `availableBytes` bytes. It ends at `hardBytes` at the latest. After 0, call again with the same piece (which may
 * have been moved) and more bytes: those seen before are not looked at again.
 */
export function cut(start: u32, availableBytes: u32, hardBytes: u32): u32 {
  const limit = min(availableBytes, hardBytes);
  const base = (start as usize) + (arenaOffset as usize);
  let at = max(scannedBytes, MIN_BYTES);
  let end: usize = 0;
  const strictLimit = min(limit, AVERAGE_BYTES - 1);
  if (at < strictLimit) {
    end = scan(base + at, base + strictLimit, STRICT);
    at = strictLimit;
  }
  if (end == 0 && at < limit) {
    end = scan(base + at, base + limit, LOOSE);
    at = limit;
  }
  if (end == 0 && limit < hardBytes) {
    scannedBytes = at;
    return 0;
  }
  restart();
  return end == 0 ? hardBytes : ((end - base) as u32);
}

/** Hashes on from `p`; the address behind the first byte where the hash is below `threshold`, or 0 and the hash kept. */
function scan(p: usize, end: usize, threshold: u64): usize {
  let h = hash;
  while (p + 8 <= end) {
    let i = (load<u8>(p) as usize) << 3;
    let odd = (h << 1) + load<u64>(i, TABLE);
    h = (h << 2) + (load<u64>(i, DOUBLED) + load<u64>((load<u8>(p, 1) as usize) << 3, TABLE));
    if (odd < threshold) return p + 1;
    if (h < threshold) return p + 2;

    i = (load<u8>(p, 2) as usize) << 3;
    odd = (h << 1) + load<u64>(i, TABLE);
    h = (h << 2) + (load<u64>(i, DOUBLED) + load<u64>((load<u8>(p, 3) as usize) << 3, TABLE));
    if (odd < threshold) return p + 3;
    if (h < threshold) return p + 4;

    i = (load<u8>(p, 4) as usize) << 3;
    odd = (h << 1) + load<u64>(i, TABLE);
    h = (h << 2) + (load<u64>(i, DOUBLED) + load<u64>((load<u8>(p, 5) as usize) << 3, TABLE));
    if (odd < threshold) return p + 5;
    if (h < threshold) return p + 6;

    i = (load<u8>(p, 6) as usize) << 3;
    odd = (h << 1) + load<u64>(i, TABLE);
    h = (h << 2) + (load<u64>(i, DOUBLED) + load<u64>((load<u8>(p, 7) as usize) << 3, TABLE));
    if (odd < threshold) return p + 7;
    if (h < threshold) return p + 8;
    p += 8;
  }
  while (p < end) {
    h = (h << 1) + load<u64>((load<u8>(p) as usize) << 3, TABLE);
    p++;
    if (h < threshold) return p;
  }
  hash = h;
  return 0;
}

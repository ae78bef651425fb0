/** Checksums of bytes that lie one behind the other, from their checksums alone. */
import { crc32 } from 'node:zlib';
import { sectorBytes } from './parity.ts';

/**
 * The CRC-32 of some bytes and a sector behind them, from the CRC-32 of both.
 *
 * CRC-32 is linear: putting a sector behind some bytes is one linear map of their checksum, here in four tables, and the
 * exclusive or with the sector's own. Source: Mark Adler, crc32_combine of zlib.
 */
export function appendSector(checksum: number, sectorChecksum: number): number {
  const [t0, t1, t2, t3] = (tables ??= makeTables());
  const moved =
    t0[checksum & 0xff]! ^ t1[(checksum >>> 8) & 0xff]! ^ t2[(checksum >>> 16) & 0xff]! ^ t3[checksum >>> 24]!;
  return (moved ^ sectorChecksum) >>> 0;
}

type Tables = readonly [Uint32Array, Uint32Array, Uint32Array, Uint32Array];

let tables: Tables | undefined;

/** A sector of zeros shows the map: its own checksum is all that it adds. */
function makeTables(): Tables {
  const zeros = new Uint8Array(sectorBytes);
  const own = crc32(zeros);
  const table = (shift: number) =>
    Uint32Array.from({ length: 256 }, (_, byte) => crc32(zeros, (byte << shift) >>> 0) ^ own);
  return [table(0), table(8), table(16), table(24)];
}

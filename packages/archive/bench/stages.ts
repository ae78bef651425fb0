/**
 * Rates of the single stages a byte passes through on its way into an archive, on one core.
 *
 * `node packages/archive/bench/stages.ts [--seconds 0.5] [--json]`: a table and a line of JSON, or the JSON alone.
 * Each figure is the best of five rounds, since other load only ever makes a stage slower.
 */
import { createHash, hash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { readFileSync } from 'node:fs';

import type { Chunker } from '../src/chunker/chunker.ts';
import { createGearChunker } from '../src/chunker/gear.node.ts';
import { isZeroSpan } from '../src/chunker/zero-span.node.ts';
import { padmeBytes } from '../src/compress/padme.ts';
import { probe } from '../src/compress/probe.ts';
import { compressZstd, decompressZstd } from '../src/compress/zstd.node.ts';
import { createSigningKey, isSignedBy, signMessage } from '../src/crypto/ed25519.node.ts';
import { hedgeNonce } from '../src/crypto/nonce.node.ts';
import { importXaesKey } from '../src/crypto/xaes-web.ts';
import { XaesKey } from '../src/crypto/xaes.node.ts';

type Stage = { readonly name: string; readonly unitBytes: number; readonly run: () => unknown };
type Rate = {
  readonly stage: string;
  readonly unitBytes: number;
  readonly microseconds: number;
  readonly mbPerSecond: number | undefined;
};

const KiB = 1024;
const key = new Uint8Array(32).fill(7);
const nonce = new Uint8Array(24).fill(8);
const associated = new Uint8Array(64);
const random = new Uint8Array(
  createHash('shake128', { outputLength: 1024 * KiB })
    .update('bench')
    .digest(),
);
// Machine code is a middling case for a compressor, and every machine has this file.
const code = readFileSync(process.execPath).subarray(32 * 1024 * KiB, 33 * 1024 * KiB);

function chunkerStages(): Stage[] {
  const gear = createGearChunker(key);
  gear.begin();
  gear.space().set(random);
  const zeros = new Uint8Array(256 * KiB);
  return [
    // Every run ends a file, so the next one begins where these bytes still lie: what is timed is the cutting.
    { name: 'gear', unitBytes: random.length, run: () => cutAll(gear) },
    { name: 'zero span', unitBytes: zeros.length, run: () => isZeroSpan(zeros) },
  ];
}

function cutAll(chunker: Chunker): number {
  let pieces = 0;
  for (const [, length] of chunker.cuts(random.length, true)) pieces += length > 0 ? 1 : 0;
  return pieces;
}

function compressionStages(): Stage[] {
  const piece = code.subarray(0, 256 * KiB);
  const noise = random.subarray(0, 256 * KiB);
  const frame = compressZstd(piece, 3);
  return [
    { name: 'probe, random', unitBytes: noise.length, run: () => probe(noise, true) },
    { name: 'probe, code', unitBytes: piece.length, run: () => probe(piece, true) },
    { name: 'zstd 1, code', unitBytes: piece.length, run: () => compressZstd(piece, 1) },
    { name: 'zstd 3, code', unitBytes: piece.length, run: () => compressZstd(piece, 3) },
    { name: 'zstd 3, random', unitBytes: noise.length, run: () => compressZstd(noise, 3) },
    { name: 'unzstd 3, code', unitBytes: piece.length, run: () => decompressZstd(frame, piece.length) },
    { name: 'padme', unitBytes: 0, run: () => padmeBytes(piece.length + 41, 4096) },
  ];
}

async function cryptoStages(): Promise<Stage[]> {
  const xaes = new XaesKey(key);
  const web = await importXaesKey(key);
  const target = new Uint8Array(257 * KiB);
  const signing = createSigningKey(key);
  const signature = signMessage(signing, code.subarray(0, KiB));
  const shape = {
    random: nonce,
    headerStart: new Uint8Array(24),
    openHash: key,
    plaintextStart: new Uint8Array(41),
    compressor: 'zstd 1.5.7 3',
  };
  const sized = [4 * KiB, 256 * KiB].flatMap((unitBytes): Stage[] => {
    const message = random.subarray(0, unitBytes);
    const sealed = xaes.seal({ nonce, parts: [message], associated });
    const label = `${unitBytes / KiB} KiB`;
    return [
      { name: `sha256, ${label}`, unitBytes, run: () => hash('sha256', message, 'buffer') },
      {
        name: `xaes seal, ${label}`,
        unitBytes,
        run: () => xaes.sealInto(target, 52, { nonce, parts: [message], associated }),
      },
      { name: `xaes open, ${label}`, unitBytes, run: () => xaes.open(nonce, sealed, associated) },
      { name: `xaes open by WebCrypto, ${label}`, unitBytes, run: () => web.open(nonce, sealed, associated) },
    ];
  });
  return [
    ...sized,
    { name: 'nonce', unitBytes: 0, run: () => hedgeNonce(key, shape) },
    { name: 'ed25519 sign, 1 KiB', unitBytes: 0, run: () => signMessage(signing, code.subarray(0, KiB)) },
    {
      name: 'ed25519 verify, 1 KiB',
      unitBytes: 0,
      run: () => isSignedBy(signing.publicKey, code.subarray(0, KiB), signature),
    },
  ];
}

/** Best of five rounds over all stages: what else the machine does slows a stretch of time, not a stage. */
async function measureAll(stages: readonly Stage[], seconds: number): Promise<Rate[]> {
  const timed = stages.map((stage) => ({ stage, bestMs: Infinity }));
  for (let round = 0; round < 5; round += 1) {
    for (const entry of timed) {
      entry.bestMs = Math.min(entry.bestMs, await timeRound(entry.stage, (seconds * 1000) / 5));
    }
  }
  return timed.map(({ stage: { name, unitBytes }, bestMs }) => ({
    stage: name,
    unitBytes,
    microseconds: Number((bestMs * 1000).toPrecision(4)),
    mbPerSecond: unitBytes === 0 ? undefined : Math.round(unitBytes / bestMs / 1000),
  }));
}

/** Milliseconds a run, over at least `forMs`. Runs go in tens, so that the clock is not what is measured. */
async function timeRound(stage: Stage, forMs: number): Promise<number> {
  const startedAt = performance.now();
  let runs = 0;
  for (;;) {
    for (let i = 0; i < 10; i += 1) {
      const result = stage.run();
      if (result instanceof Promise) await result;
    }
    runs += 10;
    const elapsedMs = performance.now() - startedAt;
    if (elapsedMs >= forMs) return elapsedMs / runs;
  }
}

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '0.5' }, json: { type: 'boolean', default: false } },
});
const stages = [...chunkerStages(), ...compressionStages(), ...(await cryptoStages())];
const rates = await measureAll(stages, Number(values.seconds));
if (!values.json) {
  for (const { stage, microseconds, mbPerSecond } of rates) {
    const rate = mbPerSecond === undefined ? '' : `${mbPerSecond} MB/s`;
    console.log(`${stage.padEnd(32)}${microseconds.toFixed(2).padStart(12)} us${rate.padStart(14)}`);
  }
}
console.log(JSON.stringify({ node: process.version, rates }));

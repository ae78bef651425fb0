import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  type BigIntStats,
  cpSync,
  createReadStream,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { listArchive, recover, RecoverError } from './index.ts';
import { temporaryFolder } from './testing/sample-archive.ts';

type ExpectedEntry = {
  readonly path: string;
  readonly type: string;
  readonly mode?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly modifiedAt?: readonly [number, number];
  readonly mountPoint?: string;
  readonly size?: number;
  readonly sha256?: string;
  readonly target?: string;
  readonly linkGroup?: number;
  readonly device?: readonly [number, number];
  readonly xattrs?: Readonly<Record<string, string>>;
};

type Expected = {
  readonly archiveId: string;
  readonly head: { readonly number: number };
  readonly keyring: number;
  readonly commits: readonly { readonly number: number; readonly at: readonly [number, number] }[];
  readonly at?: readonly { readonly at: readonly [number, number]; readonly commit: number | null }[];
  readonly branches?: readonly { readonly ordinal: string }[];
  readonly liveSet?: number;
  readonly unintroduced?: readonly { readonly number: number }[];
  readonly damage?: { readonly lostFiles: readonly string[]; readonly lostRecords: readonly string[] };
  readonly secrets?: {
    readonly passwords: readonly { readonly password: string; readonly keyring: number; readonly head: number }[];
    readonly customKey: string;
  };
  readonly instants: readonly { readonly commit: number; readonly entries: readonly ExpectedEntry[] }[];
};

const golden = join(import.meta.dirname, '../../archive/testdata/v1-draft');
const names = readdirSync(golden, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);
const asRoot = process.getuid?.() === 0;

function load(name: string) {
  const read = (file: string) => readFileSync(join(golden, name, file), 'utf8');
  const expected = JSON.parse(read('expected.json')) as Expected;
  return {
    expected,
    folder: join(golden, name, 'archive'),
    keyFile: read('key-file.txt'),
    recoveryCode: read('recovery-code.txt'),
  };
}

/** `%XX` stands for a byte. */
function unescape(path: string): Buffer {
  const parts = path.split(/%([0-9A-Fa-f]{2})/);
  return Buffer.concat(parts.map((part, index) => (index % 2 === 1 ? Buffer.from(part, 'hex') : Buffer.from(part))));
}

/** The paths of an instant as they are restored: volumes under their mount points. */
function placed(entries: readonly ExpectedEntry[]): ReadonlyMap<string, ExpectedEntry> {
  const mounts = new Map(
    entries.flatMap((entry) => (entry.mountPoint === undefined ? [] : [[entry.path, entry.mountPoint] as const])),
  );
  const shown = entries.map((entry) => {
    const [volume = '', ...rest] = entry.path.split('/');
    const mount = (mounts.get(volume) ?? `/${volume}`).replace(/\/$/, '');
    return [unescape([mount, ...rest].join('/')).toString('latin1'), entry] as const;
  });
  return new Map(shown.filter(([path]) => path !== ''));
}

const seconds = (at: readonly [number, number]) => at[0] + at[1] / 1e9;

for (const name of names) {
  test(`golden ${name}: head, keyring, times and branches are what they should be, by key file and by code`, async () => {
    const { expected, folder, keyFile, recoveryCode } = load(name);
    for (const secret of [{ keyFile }, { recoveryCode }]) {
      const { report, moments } = await listArchive({ folder, secret });
      assert.deepEqual(
        [report.archiveId, report.headCommit, report.keyringNumber, report.liveSetNumber],
        [expected.archiveId, expected.head.number, expected.keyring, expected.liveSet],
      );
      const unproven = report.findings.filter((finding) => finding.severity === 'unproven');
      assert.deepEqual(
        unproven.map(({ code, message }) => `${code} ${/writer \d+/.exec(message)?.[0]}`),
        (expected.unintroduced ?? []).map(({ number }) => `keyring.not_introduced writer ${number}`),
      );
      assert.equal(report.findingCounts['keyring.bad_introduction'], undefined);
      const times = moments.map(({ commit, at }) => [commit, Math.round(Date.parse(at ?? '') / 1000)]);
      assert.deepEqual(
        times,
        expected.commits.map(({ number, at }) => [number, Math.round(Math.floor(seconds(at) * 1000) / 1000)]),
      );
      const branches = report.findings.filter((finding) => finding.code === 'commit.branch');
      assert.deepEqual(
        branches.flatMap((finding) => finding.records ?? []),
        (expected.branches ?? []).map((branch) => branch.ordinal),
      );
    }
  });

  test(`golden ${name}: each time finds its commit`, async () => {
    const { expected, folder, keyFile } = load(name);
    for (const { at, commit } of expected.at ?? []) {
      const listing = listArchive({ folder, secret: { keyFile }, at: new Date(seconds(at) * 1000) });
      if (commit === null)
        await assert.rejects(listing, (error) => error instanceof RecoverError && error.code === 'time.nothing_then');
      else assert.equal((await listing).report.commit, commit);
    }
  });

  test(`golden ${name}: each instant lists and restores as it was`, async (t) => {
    const { expected, folder, keyFile } = load(name);
    const out = temporaryFolder(t);
    for (const instant of expected.instants) {
      const entries = placed(instant.entries);
      const lost = (expected.damage?.lostFiles ?? []).map((path) => path.replace(/^[^/]*/, ''));
      await assertListing({ folder, secret: { keyFile }, at: { commit: instant.commit } }, { entries, lost });
      const outDir = join(out, String(instant.commit));
      const report = await recover({
        folder,
        secret: { keyFile },
        at: { commit: instant.commit },
        outDir,
        setuid: true,
      });
      const losses = report.findings.filter(
        (finding) => finding.severity === 'loss' && (asRoot || finding.code !== 'special.not_made'),
      );
      for (const finding of losses) assert.ok(lost.includes(finding.path!.toString()), finding.message);
      for (const [path, entry] of entries) {
        const target = Buffer.concat([Buffer.from(outDir), Buffer.from(path, 'latin1')]);
        if (lost.includes(path)) assert.ok(!existsSync(target));
        else await assertRestored(target, entry);
      }
      const found = report.findings
        .filter((finding) => finding.code === 'content.lost')
        .flatMap((finding) => finding.records ?? []);
      const isLost = [...entries.keys()].some((path) => lost.includes(path));
      assert.deepEqual(found, isLost ? expected.damage?.lostRecords : []);
      assertLinkGroups(outDir, entries);
    }
  });
}

async function assertListing(
  request: Parameters<typeof listArchive>[0],
  wanted: { readonly entries: ReadonlyMap<string, ExpectedEntry>; readonly lost: readonly string[] },
): Promise<void> {
  const listing = await listArchive(request);
  const listed = new Map(listing.entries.map((entry) => [entry.path.toString('latin1'), entry]));
  // Directories above a mount point are made up on the way; lost files are listed all the same.
  const extra = [...listed].filter(
    ([path, entry]) =>
      !wanted.entries.has(path) &&
      !(entry.type === 'directory' && entry.mode === undefined) &&
      !wanted.lost.includes(path),
  );
  assert.deepEqual(
    extra.map(([path]) => path),
    [],
  );
  for (const [path, entry] of wanted.entries) {
    const found = listed.get(path);
    const type = entry.type.replace(/_device/, 'Device');
    assert.deepEqual(
      [path, found?.type, found?.mode, found?.uid, found?.gid, found?.sizeBytes],
      [
        path,
        type,
        entry.mode === undefined ? undefined : Number.parseInt(entry.mode, 8),
        entry.uid,
        entry.gid,
        entry.size,
      ],
    );
    assert.equal(found?.linkGroup, entry.linkGroup);
  }
}

async function assertRestored(path: Buffer, entry: ExpectedEntry): Promise<void> {
  const isDevice = entry.type.endsWith('_device');
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (isDevice && !asRoot) return;
  assert.ok(stat !== undefined, path.toString());
  assertMetadata(path, stat, entry);
  if (entry.type === 'file') assert.equal(Number(stat.size), entry.size);
  if (entry.sha256 !== undefined) assert.equal(await hashOf(path), entry.sha256, path.toString());
  if (entry.target !== undefined) assert.deepEqual(readlinkSync(path, { encoding: 'buffer' }), unescape(entry.target));
  if (entry.device !== undefined) assert.equal(stat.rdev, deviceNumber(entry.device));
  if (entry.xattrs !== undefined) assertXattrs(path, entry.xattrs, Number.parseInt(entry.mode ?? '0', 8));
}

function assertMetadata(path: Buffer, stat: BigIntStats, entry: ExpectedEntry): void {
  if (entry.modifiedAt !== undefined) {
    const [whole, nanoseconds] = entry.modifiedAt;
    assert.equal(stat.mtimeNs, BigInt(whole) * 1_000_000_000n + BigInt(nanoseconds), path.toString());
  }
  if (entry.mode !== undefined)
    assert.equal((stat.mode & 0o7777n).toString(8).padStart(4, '0'), entry.mode, path.toString());
  if (asRoot && entry.uid !== undefined) assert.deepEqual([Number(stat.uid), Number(stat.gid)], [entry.uid, entry.gid]);
}

/** As Linux packs major and minor into one number. */
function deviceNumber([major, minor]: readonly [number, number]): bigint {
  return BigInt((minor & 0xff) | (major << 8)) | (BigInt(minor >> 8) << 20n);
}

async function hashOf(path: Buffer): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Read back by `getfattr`; where it is missing nothing can look, and the report has said what was not set. */
function assertXattrs(path: Buffer, xattrs: Readonly<Record<string, string>>, mode: number): void {
  const run = spawnSync('getfattr', ['-d', '-m', '-', '-e', 'hex', '--absolute-names', path.toString()], {
    encoding: 'latin1',
  });
  if (run.error !== undefined) return;
  const found = new Map(
    run.stdout
      .split('\n')
      .flatMap((line) => (/^[^#].*/.test(line) ? [line.split('=') as [string, string | undefined]] : [])),
  );
  for (const [name, value] of Object.entries(xattrs)) {
    if (!asRoot && !name.startsWith('user.')) continue;
    assert.ok(found.has(name), `${name} of ${path.toString()}: ${run.stdout}${run.stderr}`);
    // The mask of an access list and the group bits of the mode are one thing on Linux; the mode is set last.
    const mask = `10000${(mode >> 3) & 7}00ffffffff`;
    const possible = name === 'system.posix_acl_access' ? value.replace(/10000[0-7]00ffffffff/, mask) : value;
    assert.equal((found.get(name) ?? '').replace(/^0x/, ''), possible);
  }
}

function assertLinkGroups(outDir: string, entries: ReadonlyMap<string, ExpectedEntry>): void {
  const inodes = new Map<string, bigint>();
  for (const [path, entry] of entries) {
    if (entry.linkGroup === undefined) continue;
    const { ino } = lstatSync(Buffer.concat([Buffer.from(outDir), Buffer.from(path, 'latin1')]), { bigint: true });
    const same = `${entry.linkGroup} ${entry.sha256 ?? entry.target}`;
    assert.equal(inodes.get(same) ?? ino, ino);
    inodes.set(same, ino);
  }
}

test('whatever bytes of a golden archive are hurt, no name gets a content it never had', async (t) => {
  const folder = temporaryFolder(t);
  const [archive, out] = [join(folder, 'archive'), join(folder, 'out')];
  const damage = fc.record({
    file: fc.nat(),
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    bits: fc.integer({ min: 1, max: 255 }),
  });
  const run = async (
    name: string,
    damages: readonly { readonly file: number; readonly at: number; readonly bits: number }[],
  ) => {
    for (const path of [archive, out]) rmSync(path, { recursive: true, force: true });
    const { expected, folder: whole, keyFile } = load(name);
    cpSync(whole, archive, { recursive: true });
    const files = readdirSync(archive, { recursive: true, withFileTypes: true }).flatMap((entry) =>
      entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
    );
    for (const { file, at, bits } of damages) {
      const path = files[file % files.length]!;
      const bytes = readFileSync(path);
      bytes[Math.floor(at * bytes.length)]! ^= bits;
      writeFileSync(path, bytes);
    }
    const hashes = allHashes(expected);
    try {
      await recover({ folder: archive, secret: { keyFile }, outDir: out });
    } catch (error) {
      if (!(error instanceof RecoverError)) throw error;
      return;
    }
    await assertKnownHashes(Buffer.from(out), '', hashes);
  };
  await fc.assert(fc.asyncProperty(fc.constantFrom(...names), fc.array(damage, { minLength: 1, maxLength: 12 }), run), {
    numRuns: 60,
  });
});

/** Every hash a path ever had, and `big` for files too long to hash here. */
function allHashes(expected: Expected): ReadonlyMap<string, ReadonlySet<string>> {
  const hashes = new Map<string, Set<string>>();
  for (const instant of expected.instants) {
    for (const [path, entry] of placed(instant.entries)) {
      if (entry.type !== 'file') continue;
      hashes.set(path, (hashes.get(path) ?? new Set()).add(entry.sha256 ?? 'big'));
    }
  }
  return hashes;
}

async function assertKnownHashes(
  folder: Buffer,
  below: string,
  hashes: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<void> {
  for (const name of readdirSync(folder, { encoding: 'buffer' })) {
    const path = Buffer.concat([folder, Buffer.from('/'), name]);
    const shown = `${below}/${name.toString('latin1')}`;
    const stat = lstatSync(path);
    if (stat.isDirectory()) await assertKnownHashes(path, shown, hashes);
    if (!stat.isFile() || shown.startsWith('/lost-directory-')) continue;
    const hash = stat.size > 100_000_000 ? 'big' : await hashOf(path);
    assert.ok(hashes.get(shown)?.has(hash), `a content under ${shown} that it never had`);
  }
}

test('golden slots: each password gives the keyring and head that it should, and the custom key the newest', async () => {
  const { expected, folder } = load('slots');
  const { passwords, customKey } = expected.secrets!;
  for (const { password, keyring, head } of passwords) {
    const { report } = await listArchive({ folder, secret: { password } });
    const older = report.findings.find(({ code }) => code === 'keyring.older')?.message;
    // The line goes on to the newest, whatever opens.
    const opened = Number(/opens keyring (\d+) only/.exec(older ?? '')?.[1] ?? report.keyringNumber);
    assert.deepEqual([report.headCommit, opened, report.keyringNumber], [head, keyring, expected.keyring]);
  }
  const { report } = await listArchive({ folder, secret: { customKey } });
  assert.deepEqual([report.headCommit, report.keyringNumber, report.proven], [3, 4, true]);
  assert.equal(passwords.length, 2);
});

test('the golden archives are there', () => {
  assert.deepEqual(
    ['damaged', 'everything', 'history', 'lists-and-moves', 'slots', 'writers'].filter((name) => !names.includes(name)),
    [],
  );
});

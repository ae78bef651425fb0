import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { compareTrees } from '@holdfast/agent/filesystem/testing';
import { RecordKind } from '@holdfast/archive';
import { until } from './process-tree.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { seededRandom, shuffled } from './seeded-random.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';
import { archiveFolderOf, conflictsIn, scanArchiveFolder, type StoredRecords } from './stored-records.ts';

const isFull = process.env['HOLDFAST_TEST_FULL'] === '1';
const totalBytes = isFull ? 1_000_000_000 : 100_000_000;
const killsOfEach = isFull ? 10 : 3;
/** How long a step with all the data may take. */
const patienceMs = isFull ? 900_000 : 240_000;
const isRoot = process.getuid?.() === 0;

/** What the agent had been told is safe: it must be in the archive whatever happens. */
type Acknowledged = { readonly ordinals: Set<number>; readonly commits: Map<string, number> };

/** One large file, some of the size of photographs and films, and many small ones; all new bytes. */
function makeFiles(agent: RunningAgentProcess): void {
  agent.write('one large file', randomBytes(totalBytes * 0.15));
  for (let number = 0; number < 40; number++)
    agent.write(`films/${number % 5}/${number}`, randomBytes(totalBytes * 0.02));
  const small = isFull ? 6_000 : 1_500;
  for (let number = 0; number < small; number++)
    agent.write(`small/${number % 50}/${number}`, randomBytes((totalBytes * 0.05) / small));
}

function segmentBytes(homeDir: string): number {
  const blobs = path.join(homeDir, 'blobs');
  if (!existsSync(blobs)) return 0;
  const files = readdirSync(blobs, { recursive: true, encoding: 'utf8' }).filter((name) => /segments\/\d/.test(name));
  return files.reduce((sum, name) => sum + (statSync(path.join(blobs, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}

/** Adds what the index of an agent that does not run now says is acknowledged. */
function noteAcknowledged(agent: RunningAgentProcess, known: Acknowledged): void {
  const database = new DatabaseSync(path.join(agent.stateDir, 'index.db'), { readOnly: true });
  try {
    for (const { ordinal } of database.prepare('select distinct ordinal from blocks').iterate())
      known.ordinals.add(Number(ordinal));
    const commits = database.prepare('select number, sha256 from commits where is_acknowledged = 1');
    for (const { number, sha256 } of commits.iterate())
      known.commits.set(Buffer.from(sha256 as Uint8Array).toString('hex'), Number(number));
  } finally {
    database.close();
  }
}

function assertNothingLost(records: StoredRecords, { ordinals, commits }: Acknowledged): void {
  assert.deepEqual(
    [...ordinals].filter((ordinal) => !records.has(ordinal)),
    [],
    'every acknowledged block is there',
  );
  const stored = new Set(
    [...records.values()].flat().flatMap(({ kind, sha256 }) => (kind === RecordKind.commit ? [sha256] : [])),
  );
  assert.deepEqual(
    [...commits].filter(([sha256]) => !stored.has(sha256)),
    [],
    'every acknowledged commit is there',
  );
}

type Victim = 'agent' | 'cloud' | 'PostgreSQL';

/** Kills what was chosen, and starts again what does not start by itself. */
async function killOne(
  victim: Victim,
  parts: { agent: RunningAgentProcess; server: ServerProcess },
  known: Acknowledged,
) {
  const { agent, server } = parts;
  if (victim === 'PostgreSQL') return until(() => server.killDatabase(), 'a database to kill', 60_000);
  if (victim === 'cloud') return server.kill().then(() => server.start());
  await agent.kill();
  noteAcknowledged(agent, known);
  await agent.start();
}

async function isProtected(agent: RunningAgentProcess): Promise<boolean> {
  const standings = agent.run('status').value['standings'] as { state: string }[] | undefined;
  return standings !== undefined && standings.length > 0 && standings.every(({ state }) => state === 'protected');
}

async function killAtRandomMoments(t: TestContext, parts: { agent: RunningAgentProcess; server: ServerProcess }) {
  const seed = Number(process.env['HOLDFAST_TEST_SEED'] ?? randomInt(2 ** 31));
  t.diagnostic(`seed ${seed} (HOLDFAST_TEST_SEED)`);
  const random = seededRandom(seed);
  const kinds: readonly Victim[] = ['agent', 'cloud', 'PostgreSQL'];
  const victims = shuffled(
    kinds.flatMap((kind) => Array.from({ length: killsOfEach }, () => kind)),
    random,
  );
  const shares = victims.map(() => random());
  const sum = shares.reduce((all, share) => all + share, 0);
  const known: Acknowledged = { ordinals: new Set(), commits: new Map() };
  const { server, agent } = parts;
  for (const [place, victim] of victims.entries()) {
    // By what has been stored since the last one, so that all of them fall into the backup, however fast it is.
    const goal = segmentBytes(server.homeDir) + (shares[place]! / sum) * totalBytes * 0.6;
    const isDue = () => segmentBytes(server.homeDir) >= goal;
    await until(isDue, `the backup to go on after ${place} kills, the last of ${victims[place - 1]}`, 240_000).catch(
      (error: unknown) => {
        t.diagnostic(agent.log.slice(-4_000));
        throw error;
      },
    );
    await new Promise((resolve) => setTimeout(resolve, random() * 40));
    await killOne(victim, parts, known);
  }
  return known;
}

test(
  `after ${killsOfEach} times kill -9 of agent, cloud and PostgreSQL each, a backup of ${totalBytes / 1e6} MB finishes by itself and nothing is lost`,
  { timeout: isFull ? 3_000_000 : 800_000 },
  async (t) => {
    const server = await startServerProcess(t);
    const agent = new RunningAgentProcess(t);
    makeFiles(agent);
    agent.enroll(await server.invite());
    await agent.start();
    const known = await killAtRandomMoments(t, { agent, server });
    assert.equal(await isProtected(agent), false, 'the last kill fell into the backup');
    const begun = performance.now();
    await until(() => isProtected(agent), 'everything to be protected', patienceMs);
    t.diagnostic(`protected ${Math.round((performance.now() - begun) / 1000)} s after the last kill`);

    const to = path.join(agent.folder, 'restored');
    const restored = agent.runWith({ timeoutMs: patienceMs }, 'restore', agent.tree, '--to', to);
    assert.equal(restored.status, 0, restored.stderr);
    assertEqual(agent.tree, path.join(to, 'tree'));
    const keyFile = path.join(agent.folder, 'key');
    assert.equal(agent.run('key', 'export', '--out', keyFile).status, 0);
    await agent.kill('SIGTERM');
    noteAcknowledged(agent, known);
    await server.stop();

    const folder = archiveFolderOf(server.homeDir);
    const records = await scanArchiveFolder(folder);
    t.diagnostic(
      `${records.size} records, ${known.ordinals.size} with acknowledged blocks, ${known.commits.size} commits seen`,
    );
    assert.ok(known.ordinals.size > 100 && known.commits.size > 0);
    assertNothingLost(records, known);
    assert.deepEqual(conflictsIn(records), { ordinals: [], nonces: [] });
    const out = path.join(agent.folder, 'recovered');
    const recovered = agent.runWith({ timeoutMs: patienceMs }, 'recover', folder, '--key', keyFile, '--to', out);
    assert.equal(recovered.status, 0, recovered.stderr);
    assertEqual(agent.tree, path.join(out, agent.tree));
  },
);

function assertEqual(expected: string, found: string): void {
  assert.deepEqual(compareTrees(expected, found), []);
  const compared = spawnSync('rsync', ['-aHAXSnc', '--delete', '--itemize-changes', `${expected}/`, `${found}/`]);
  // Not everywhere; our own comparison is.
  if (compared.error) return;
  assert.equal(compared.stdout.toString() + compared.stderr.toString(), '', isRoot ? 'as root' : 'as a user');
}

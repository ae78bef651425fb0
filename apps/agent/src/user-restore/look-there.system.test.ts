import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  lchownSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { TestAgent } from '../testing.ts';
import { LookThere, type PlannedEntry, type Presence, type ShownPiece } from './look-there.ts';

type Item = Partial<PlannedEntry> & { readonly pieces?: readonly ShownPiece[] };

/** What a dry run finds, by path below the protected folder. */
async function presence(agent: TestAgent, paths: readonly string[], to?: string): Promise<Map<string, Presence>> {
  const look = new LookThere(to);
  const found = new Map<string, Presence>();
  let open: string | undefined;
  const settle = () => open !== undefined && found.set(open, look.end());
  const onItem = (item: Item) => {
    if (item.path !== undefined) {
      settle();
      open = path.relative(to ?? agent.tree, item.path);
      look.begin(item as PlannedEntry);
    }
    look.pieces(item.pieces ?? []);
  };
  try {
    await agent.ask('restore', { paths, dryRun: true, ...(to !== undefined && { to }) }, { onItem });
    settle();
    return found;
  } finally {
    look.close();
  }
}

async function protectedAgent(t: TestContext): Promise<TestAgent> {
  const agent = new TestAgent();
  t.after(() => agent.remove());
  for (const name of ['same', 'touched', 'changed', 'longer', 'gone', 'folder now']) agent.write(name, `${name} 1`);
  for (const name of ['long', 'long changed']) agent.write(name, randomBytes(1_300_000));
  for (const name of ['link', 'link changed']) symlinkSync('somewhere', path.join(agent.tree, name));
  agent.write('sparse', '');
  truncateSync(path.join(agent.tree, 'sparse'), 3_000_000);
  agent.write('sparse changed', '');
  truncateSync(path.join(agent.tree, 'sparse changed'), 3_000_000);
  // Deeper than any one call takes a path.
  const deep = Array.from({ length: 25 }, () => 'd'.repeat(200));
  const cwd = process.cwd();
  try {
    process.chdir(agent.tree);
    for (const name of deep) {
      mkdirSync(name);
      process.chdir(name);
    }
    writeFileSync('deep', 'deep');
  } finally {
    process.chdir(cwd);
  }
  await agent.start();
  await agent.addDestination();
  await agent.ask('backup');
  return agent;
}

test(
  'a dry run says of every name whether the same is there, another thing, or nothing, at any depth',
  { timeout: 120_000 },
  async (t) => {
    const agent = await protectedAgent(t);
    const at = (name: string) => path.join(agent.tree, name);
    utimesSync(at('touched'), 1, 1);
    writeFileSync(at('changed'), 'changed 2');
    writeFileSync(at('longer'), 'longer 1 and more');
    rmSync(at('gone'));
    rmSync(at('folder now'));
    mkdirSync(at('folder now'));
    const long = readFileSync(at('long changed'));
    long[long.length - 1]! ^= 1;
    writeFileSync(at('long changed'), long);
    rmSync(at('link changed'));
    symlinkSync('elsewhere', at('link changed'));
    const fd = openSync(at('sparse changed'), 'r+');
    writeSync(fd, 'x', 1_000_000);
    closeSync(fd);
    const found = await presence(agent, [agent.tree]);
    const of = (wanted: Presence) =>
      [...found].flatMap(([name, is]) => (is === wanted && !name.startsWith('..') ? [name] : []));
    assert.deepEqual(of('differs').toSorted(), [
      'changed',
      'folder now',
      'link changed',
      'long changed',
      'longer',
      'sparse changed',
    ]);
    assert.deepEqual(of('absent'), ['gone']);
    const deep = [...found].filter(([name]) => name.endsWith('/deep'));
    assert.deepEqual(
      deep.map(([name, is]) => [name.length > 4096, is]),
      [[true, 'same']],
    );
    for (const name of ['same', 'touched', 'long', 'link', 'sparse']) assert.equal(found.get(name), 'same', name);
    assert.equal(readlinkSync(at('link')), 'somewhere');
    // What the restore itself does is the same.
    const report = await agent.ask('restore', { paths: [agent.tree], onConflict: 'skip' });
    assert.deepEqual([report['skipped'], report['failedCount']], [of('differs').length, 0]);
  },
);

test(
  'below another folder nothing is there, and what follows a link is not taken for it',
  { timeout: 120_000 },
  async (t) => {
    const agent = await protectedAgent(t);
    const to = path.join(agent.folder, 'to');
    assert.deepEqual([...new Set((await presence(agent, [agent.tree], to)).values())], ['absent']);
    mkdirSync(to);
    symlinkSync(agent.tree, path.join(to, path.basename(agent.tree)));
    lchownSync(to, process.getuid!(), process.getgid!());
    const found = await presence(agent, [agent.tree], to);
    assert.equal(found.get(path.basename(agent.tree)), 'differs');
    assert.equal(found.get(path.join(path.basename(agent.tree), 'same')), 'absent');
  },
);

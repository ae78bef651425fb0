import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { RecordKind } from '@holdfast/archive';
import type { Operator } from '@holdfast/cloud';
import { afterwards } from '@holdfast/testing';
import {
  contentMarker,
  findNeedles,
  formsOfBytes,
  formsOfText,
  nameMarker,
  sha256,
  type Needle,
} from './marker-forms.ts';
import { until } from './process-tree.ts';
import { changeText, copyProduct } from './product-copy.ts';
import { RunningAgentProcess } from './running-agent.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';

/** What of a protected folder nobody but its agent may see. */
type Planted = { readonly needles: readonly Needle[]; readonly name: string };

/** Writes a folder in whose names and contents two markers stand in every form. */
function plant(agent: RunningAgentProcess): Planted {
  const [name, content] = [nameMarker(), contentMarker()];
  const inNames = formsOfText('a name', name);
  const inContents = formsOfText('contents', content);
  for (const [number, { bytes }] of inNames.entries()) {
    // Each in a folder of its own: beside one another, names that begin alike are stored by their ends alone.
    const folder = path.dirname(agent.write(`names/${number}/beside`, 'beside'));
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), bytes]), 'as a name');
  }
  agent.write(`folder ${name}/below`, content);
  const all = Buffer.concat(inContents.flatMap(({ bytes }) => [bytes, Buffer.from('\n')]));
  // Once among bytes that do not compress, in a block and in a bundle, and once among bytes that do.
  const files = {
    large: Buffer.concat([randomBytes(150_000), all, randomBytes(150_000)]),
    small: Buffer.concat([all, randomBytes(20_000)]),
    text: Buffer.concat([all, Buffer.from('the same words again and again\n'.repeat(500))]),
  };
  for (const [file, bytes] of Object.entries(files)) agent.write(file, bytes);
  const hashes = Object.entries({ small: files.small, text: files.text }).flatMap(([file, bytes]) =>
    formsOfBytes(`SHA-256 of the contents of ${file}`, sha256(bytes)),
  );
  return { needles: [...inNames, ...inContents, ...hashes], name };
}

/** Protects a planted folder with the agent of a checkout, uses what there is to use, and ends the agent. */
async function protectMarkers(t: TestContext, server: ServerProcess, productDir?: string): Promise<Planted> {
  const agent = new RunningAgentProcess(t, productDir === undefined ? {} : { productDir });
  const planted = plant(agent);
  agent.enroll(await server.invite());
  await agent.start();
  const isProtected = () => {
    const standings = agent.run('status').value['standings'] as { state: string }[] | undefined;
    return standings?.every(({ state }) => state === 'protected') ?? false;
  };
  await until(isProtected, 'everything to be protected', 60_000);
  rmSync(path.join(agent.tree, 'small'));
  const to = path.join(agent.folder, planted.name);
  for (const args of [
    ['backup'],
    ['find', `*${planted.name}*`],
    ['versions', path.join(agent.tree, 'small')],
    ['ls', path.join(agent.tree, 'no such folder', planted.name)],
    ['restore', path.join(agent.tree, `folder ${planted.name}`), '--to', to],
    ['verify', '--full'],
  ]) {
    const { status, stderr } = agent.run(...args);
    assert.equal(status, args[0] === 'ls' ? 5 : 0, `${args[0]}: ${stderr}`);
  }
  await agent.kill('SIGTERM');
  return planted;
}

/** Everything below a folder: contents and names. */
function searchFolder(folder: string, needles: readonly Needle[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'buffer' })) {
    const file = Buffer.concat([Buffer.from(`${folder}/`), name]);
    const bytes = lstatSync(file).isFile() ? readFileSync(file) : Buffer.alloc(0);
    for (const needle of [...findNeedles(name, needles), ...findNeedles(bytes, needles)])
      found.set(needle.name, name.toString());
  }
  return found;
}

type Catalogue = {
  readonly 'pg_catalog.pg_tables': { schemaname: string; tablename: string };
  readonly [table: string]: Readonly<Record<string, unknown>>;
};

/** The rows of all tables that the operator's login may read, as their own bytes: no page or compression hides a value. */
async function searchRows({ bootstrap }: Operator, needles: readonly Needle[]) {
  const { system } = bootstrap;
  const tables = await system.withoutTenant((tx) =>
    tx
      .withTables<Catalogue>()
      .selectFrom('pg_catalog.pg_tables')
      .select(['tablename'])
      .where('schemaname', '=', 'public')
      .execute(),
  );
  const found = new Map<string, string>();
  const read: string[] = [];
  for (const { tablename } of tables as { tablename: string }[]) {
    const rows = await system
      .withoutTenant((tx) => tx.withTables<Catalogue>().selectFrom(tablename).selectAll().execute())
      .catch(() => undefined);
    if (rows) read.push(tablename);
    for (const value of (rows ?? []).flatMap((row) => Object.values(row)))
      for (const needle of findNeedles(bytesOf(value), needles)) found.set(needle.name, tablename);
  }
  return { found, read };
}

function bytesOf(value: unknown): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value);
  return Buffer.from(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
}

/** Looks into the rows while the server runs, and into all its files after it has written everything and stopped. */
async function search(server: ServerProcess, needles: readonly Needle[]): Promise<ReadonlyMap<string, string>> {
  const rows = await server.operate((operator) => searchRows(operator, needles));
  assert.ok(
    ['archives', 'devices', 'audit_entries'].every((table) => rows.read.includes(table)),
    rows.read.join(' '),
  );
  await server.stop();
  return new Map([...rows.found, ...searchFolder(path.dirname(server.homeDir), needles)]);
}

test('names and contents are nowhere at the server in any form, and are found there once sealing is switched off', async (t) => {
  const server = await startServerProcess(t, { logLevel: 'debug' });
  const sealed = await protectMarkers(t, server);
  const known: Needle = { name: 'the archive folder', bytes: Buffer.from(sealedFolderName(server)) };
  const found = await search(server, [...sealed.needles, known]);
  assert.deepEqual([...found.keys()], [known.name], 'nothing but what a server must know');

  // The same agent but for one thing: what it sends is not encrypted, apart from rings: behind one that does not open the
  // server, which is the same one, takes nothing. The sixth byte of a record, behind the archive's id, says what it is.
  const productDir = copyProduct('without sealing');
  afterwards(t, () => rmSync(productDir, { recursive: true, force: true }));
  const file = 'packages/archive/src/crypto/xaes.node.ts';
  changeText(productDir, {
    file,
    find: 'message.parts.map((part) => cipher.update(part))',
    replace: `message.parts.map((part) => (message.associated[21] === ${RecordKind.keyring} ? cipher.update(part) : new Uint8Array(part)))`,
  });
  changeText(productDir, {
    file,
    find: 'const message = decipher.update(',
    replace: `if (associated[21] !== ${RecordKind.keyring}) return new Uint8Array(sealed.subarray(0, tagAt));\n    const message = decipher.update(`,
  });
  await server.start();
  const open = await protectMarkers(t, server, productDir);
  const shown = await search(server, [...open.needles, ...sealed.needles]);
  const isNatural = ({ name }: Needle) => !name.startsWith('SHA-256 of the contents') || name.endsWith('raw');
  assert.deepEqual(
    open.needles.filter((needle) => isNatural(needle) && !shown.has(needle.name)).map(({ name }) => name),
    [],
    'every form would have been found',
  );
  t.diagnostic(`${open.needles.length} forms looked for; ${shown.size} shown without sealing`);
});

function sealedFolderName(server: ServerProcess): string {
  const blobs = path.join(server.homeDir, 'blobs');
  return readdirSync(path.join(blobs, readdirSync(blobs)[0]!))[0]!;
}

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'node:test';

/** Every module that a file imports for its values, directly or not; packages of other workspaces are named, not followed. */
async function importsOf(path: string, seen = new Map<string, string[]>()): Promise<Map<string, string[]>> {
  if (seen.has(path)) return seen;
  const imported: string[] = [];
  seen.set(path, imported);
  const source = await readFile(path, 'utf8');
  for (const [, kind, specifier] of source.matchAll(/^(?:import|export)\s+(type\s)?[^'"]*?from\s+'([^']+)'/gms)) {
    if (kind === undefined) imported.push(specifier!);
  }
  for (const [, specifier] of source.matchAll(/\bimport\(\s*['"]([^'"]+)['"]|^import\s+'([^']+)'/gm))
    imported.push(specifier!);
  for (const specifier of imported) {
    if (specifier.startsWith('.')) await importsOf(join(dirname(path), specifier), seen);
  }
  return seen;
}

const outside = (imports: Map<string, string[]>) =>
  new Set([...imports.values()].flat().filter((specifier) => !specifier.startsWith('.')));

test('nothing behind the reading half of the engine imports Node, and the sealing half shows that this would be seen', async () => {
  const reading = await importsOf(join(import.meta.dirname, 'read.ts'));
  assert.ok(reading.size > 25, `${reading.size} modules`);
  assert.deepEqual([...outside(reading)], ['@holdfast/base']);
  const sealing = outside(await importsOf(join(import.meta.dirname, 'format/seal.node.ts')));
  assert.ok(sealing.has('node:crypto') && sealing.has('node:zlib'));
});

test('nothing behind the reading half uses what only Node has in scope', async () => {
  for (const path of (await importsOf(join(import.meta.dirname, 'read.ts'))).keys()) {
    const code = (await readFile(path, 'utf8')).replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, '').replaceAll(/'[^']*'/g, "''");
    assert.doesNotMatch(code, /\b(Buffer|process|require|setImmediate|__dirname)\b/, path);
  }
});

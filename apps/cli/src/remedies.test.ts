import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import '@holdfast/agent';
import '@holdfast/agent/cloud';
import '@holdfast/agent/releases';
import '@holdfast/cloud';
import { CodedError, declaredErrors } from '@holdfast/base';
import { createProgram } from './program.ts';
import { remedyFor } from './remedies.ts';
import './trust-store.ts';
import './up/agent.ts';
import './up/run-up.ts';

/** Nouns whose failures no command shows by themselves. */
const notShown: Readonly<Record<string, string>> = {
  'api_clients canonical_json egress holds job key_log_leaf note orgs policies sessions users':
    'said to who calls the API',
  'files zstd seal': 'said of one entry, beside what was done',
  'escrow hpke keystore release': 'said where keys are released, to who asked for one',
  witness: 'written to the log of the server, tried again by itself; cloud witnesses shows how each stands',
};

/** Failures that say by themselves what to do, or bring it along. */
const saysItself: Readonly<Record<string, string>> = {
  'command.invalid service.needs_root service.not_installed recovery.not_typed recover.several': 'its maker adds it',
  'backup.incomplete recover.several_ways recover.unproven verify.damaged verify.no_destination verify.incomplete':
    'its maker adds it',
  'trust_store.needs_root up.no_folder up.not_ready up.other_options time.invalid': 'its maker adds it',
  'verify.rolled_back destinations.only_copy destinations.only_of_set restore.not_found': 'its maker adds it',
  'certificate.wrong_time certificate.untrusted': 'its maker adds it',
  'auth.missing auth.expired auth.wrong_kind auth.use_nonce auth.missing_permission request.cross_site': 'of the API',
  'branch.not_all_taken_in confirm.not_given': 'its maker adds it',
  'head_check.too_few head_check.not_read head_check.other_log head_check.longer head_check.forked':
    'its maker adds it',
  'secret_input.too_long custom_key_file.exposed': 'its maker adds it',
  'secret_input.none secret_input.several_lines secret_input.differs secret_input.other_key secret_input.stopped':
    'its maker adds it',
  'devices.not_found enrollment.org_not_found enrollment.token_not_found enrollment.proof_invalid': 'of the API',
  'keystore.unknown_form keystore.tenant_unknown': 'said to the server, which asks it',
  'escrow_try.keyring_lost escrow_try.keyring_too_long escrow_try.slot_lost':
    'written to the log of the server; cloud doctor says what to do',
  'sets.invalid control.invalid browse.no_pattern restore.invalid_path restore.invalid_commit':
    'the field and the rule',
  'backup.volume_gone backup.file_replaced backup.folder_replaced': 'of one entry; looked at again by itself',
};

const listed = (lists: Readonly<Record<string, string>>) => Object.keys(lists).flatMap((list) => list.split(' '));

test('whatever a command can show says what to do, by its code or by itself', () => {
  assert.ok(createProgram().commands.length > 10, 'all commands are loaded');
  const declared = declaredErrors();
  assert.deepEqual(
    codesInSources().filter((code) => !declared.has(code)),
    [],
    'import here what declares these',
  );
  assert.ok(codesInSources().length > 200);
  for (const code of listed(saysItself)) assert.ok(declared.has(code), `${code} is declared no more`);
  const nouns = new Set([...declared.keys()].map((code) => code.split('.')[0]!));
  for (const noun of listed(notShown)) assert.ok(nouns.has(noun), `nothing is declared of ${noun}`);
  const isExcepted = (code: string) =>
    listed(saysItself).includes(code) || listed(notShown).includes(code.split('.')[0]!) || isOfOneEntry(code);
  const silent = [...declared.values()].filter((error) => remedyFor(error) === undefined && !isExcepted(error.code));
  assert.deepEqual(
    silent.map(({ code }) => code),
    [],
    'these need a line in remedies.ts',
  );
});

/** The codes that the sources declare: a command loads most modules only when it needs them. */
function codesInSources(): readonly string[] {
  const root = path.resolve(import.meta.dirname, '../../..');
  const files = globSync('{apps,packages}/*/src/**/*.ts', { cwd: root }).filter((file) => !/test/.test(file));
  return files.flatMap((file) => {
    const text = readFileSync(path.join(root, file), 'utf8');
    return [...text.matchAll(/ = defineErrors\('(\w+)', \{([^]*?)\n\}\)/g)].flatMap(([, noun, body]) =>
      [...body!.matchAll(/^ {2}(\w+): \[/gm)].map(([, reason]) => `${noun}.${reason}`),
    );
  });
}

/** What is said of one entry of a restore, in the list of what could not be restored. */
function isOfOneEntry(code: string): boolean {
  return /^restore\.(folder_|not_permitted|unusable_name|temporary_|piece_|content_|links_|record_|directory_|attributes_)/.test(
    code,
  );
}

test('a remedy names what the error is about; what an error says itself goes before what its code says', () => {
  const error = (code: string, details: Record<string, unknown>) =>
    new CodedError({ code, kind: 'invalid', message: 'It went wrong', details });
  assert.match(remedyFor(error('home.foreign', { folder: '/some/folder' }))!, /\/some\/folder/);
  assert.equal(remedyFor(error('home.foreign', { remedy: 'do this' })), 'do this');
  assert.equal(remedyFor(error('no.such', { remedy: 'do this' })), 'do this');
  assert.equal(remedyFor(error('no.such', {})), undefined);
});

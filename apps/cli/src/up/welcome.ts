import path from 'node:path';
import type { Output } from '../output.ts';
import { quickstartFile, type Quickstart } from './quickstart.ts';

/** The short text `up` ends in: where the server is, where the credentials are, commands to try from any folder. */
export function welcomeText(homeDir: string, quickstart: Quickstart, output: Output): string {
  const { url, protectedPath } = quickstart;
  const lines = [
    output.strong('Holdfast is running.'),
    `  Server       ${url}`,
    `  Credentials  ${quickstartFile(homeDir)} (only you can read it; for the API)`,
    ...(protectedPath === undefined ? [] : [`  Protecting   ${protectedPath}`]),
    '',
    'Try: (in a shell, in any folder; the first line is a short name for the program)',
    ...[shellSetup(homeDir), ...commandsToTry(quickstart)].map((command) => `  ${command}`),
  ];
  return lines.join('\n');
}

/** Lets a shell find the program and the state, wherever it stands: `npx` would ask the registry for a stranger's program. */
function shellSetup(homeDir: string): string {
  return `holdfast() { HOLDFAST_HOME=${shellWord(homeDir)} ${shellWord(launcher)} "$@"; }`;
}

const launcher = path.resolve(import.meta.dirname, '../../bin/holdfast.mjs');

function commandsToTry({ url, caFile, protectedPath }: Quickstart): readonly string[] {
  const trust = caFile === undefined ? [] : ['holdfast cloud trust-ca   # browsers then accept the address'];
  if (protectedPath !== undefined) {
    const where = shellWord(protectedPath);
    return ['holdfast status', `holdfast ls ${where}`, `holdfast restore ${where} --to restored`, ...trust];
  }
  const trusting = caFile === undefined ? '' : ` --cacert ${shellWord(caFile)}`;
  return ['holdfast cloud doctor', `curl${trusting} ${url}/`, 'holdfast --help', ...trust];
}

/** A word as a POSIX shell takes it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

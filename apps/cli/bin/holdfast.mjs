#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { becomeProgram, findPinnedNode, rootDir } from '../../../tools/pinned-node.mjs';

const program = path.join(rootDir, 'apps', 'cli', 'src', 'main.ts');
const pinned = findPinnedNode();
if (pinned && realpathSync(pinned) === realpathSync(process.execPath)) await import(pathToFileURL(program).href);
else becomeProgram(program, process.argv.slice(2));

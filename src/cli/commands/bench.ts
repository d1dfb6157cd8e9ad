/** `quorate bench`: what a running registry can do, measured from outside. */
import type { Command } from 'commander';
import { defineBlob } from '../bench/blob.ts';
import { defineGet } from '../bench/get.ts';
import { defineMixed } from '../bench/mixed.ts';
import { definePut } from '../bench/put.ts';
import { defineSnapshot } from '../bench/snapshot.ts';
import { defineVerify } from '../bench/verify.ts';
import { defineWatch } from '../bench/watch.ts';
import type { Context } from '../context.ts';

export function defineBench(command: Command, context: Context): void {
  defineGet(command, context);
  definePut(command, context);
  defineMixed(command, context);
  defineWatch(command, context);
  defineVerify(command, context);
  defineSnapshot(command, context);
  defineBlob(command, context);
}

import { test } from 'node:test';
import { assertCutInTime, DEFAULT_TIMEOUTS, SLOW } from '../../support/server-listening.ts';

for (const [what, text] of Object.entries(SLOW))
  test(`a client that sends ${what} and then drips is answered 408 within the default times`, (t) =>
    assertCutInTime(t, text, DEFAULT_TIMEOUTS));

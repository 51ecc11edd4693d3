// Everything that makes the pages nicer; every page works without it.
import './js/frame.js';
import './js/rows.js';
import './js/confirm.js';
import './js/filters.js';
import './js/tags.js';
import './js/json-editor.js';
import './js/guard.js';
import './js/keys.js';
import './js/choices.js';
import './js/connection.js';
import './js/palette.js';
import { refresh } from './js/tools.js';

refresh(document);

// Maschinenraum for websites: <script async src="https://DATA.EXAMPLE/v1/snippet.js" data-key="mr_…"></script>
// Nothing is stored or sent before somebody says yes: mr.consent({analytics: true}, "wording-3"). What a page says before
// that waits in memory, and a no forgets it. Calls made before this file is there: window.mr = [["page"], ["track", …]].
(function (w, d) {
  "use strict";
  var tag = d.currentScript, old = Array.isArray(w.mr) ? w.mr : [];
  if (!tag || !tag.getAttribute("data-key")) return;
  var key = tag.getAttribute("data-key"), base = new URL(tag.src).origin;
  var needs = (tag.getAttribute("data-needs") || "").split(",").filter(Boolean);
  var queue = [], said = null, wording = "", user = null, anonymous = null, waiting = 0, tries = 0;
  function kept(name, value) {
    try {
      if (value === undefined) return JSON.parse(w.localStorage.getItem("mr_" + name));
      if (value === null) w.localStorage.removeItem("mr_" + name);
      else w.localStorage.setItem("mr_" + name, JSON.stringify(value));
    } catch (e) { /* Storage may be forbidden; the page works without. */ }
    return value === undefined ? null : value;
  }
  function id() {
    if (w.crypto && w.crypto.randomUUID) return w.crypto.randomUUID();
    var b = w.crypto.getRandomValues(new Uint8Array(16));
    return Array.prototype.map.call(b, function (x) { return (x + 256).toString(16).slice(1); }).join("");
  }
  function allowed() {
    if (!said) return false;
    var asked = needs.length ? needs : Object.keys(said);
    return asked.some(function (purpose) { return said[purpose] === true; });
  }
  function add(call) {
    if (said && !allowed()) return;
    call.messageId = id();
    call.timestamp = new Date().toISOString();
    call.context = { page: { path: w.location.pathname, url: w.location.origin + w.location.pathname, title: d.title },
      locale: w.navigator.language };
    if (queue.length < 1000) queue.push(call);
    later(50);
  }
  function later(ms) { if (!waiting && allowed()) waiting = setTimeout(function () { waiting = 0; send(false); }, ms); }
  function send(leaving) {
    if (!queue.length || !allowed()) return;
    anonymous = anonymous || kept("anonymous") || kept("anonymous", id());
    var calls = [], bytes = 0;
    while (queue.length && calls.length < 100 && bytes < 50000) {
      var call = queue.shift();
      call.anonymousId = call.anonymousId || anonymous;
      if (user && !call.userId) call.userId = user;
      call.context.consent = { categoryPreferences: said, noticeVersion: wording };
      calls.push(call);
      bytes += JSON.stringify(call).length;
    }
    var again = function () { queue = calls.concat(queue); if (tries++ < 10) later(Math.min(60000, 500 * Math.pow(2, tries))); };
    w.fetch(base + "/v1/b", { method: "POST", keepalive: leaving, credentials: "omit", headers: { "Content-Type": "text/plain" },
      body: JSON.stringify({ writeKey: key, sentAt: new Date().toISOString(), batch: calls }) }).then(function (answer) {
      if (answer.status === 429 || answer.status >= 500) return again();
      tries = 0;
      answer.text(); // Read to its end: an unread answer keeps its share of what a page may have under way.
      if (queue.length) { if (leaving) send(true); else later(50); }
    }, again);
  }
  var mr = {
    consent: function (purposes, version) {
      said = purposes; wording = String(version || "");
      var yes = allowed();
      if (!yes) { queue = []; anonymous = user = null; kept("anonymous", null); kept("user", null); kept("consent", null); return; }
      kept("consent", { purposes: said, version: wording });
      if (user) kept("user", user);
      later(0);
    },
    identify: function (userId, traits) {
      user = String(userId);
      if (allowed()) kept("user", user);
      add({ type: "identify", userId: user, traits: traits || {} });
    },
    track: function (event, properties) { add({ type: "track", event: event, properties: properties || {} }); },
    page: function (name, properties) {
      var call = { type: "page", properties: properties || {} };
      if (name) call.name = name;
      add(call);
    },
    group: function (groupId, traits) { add({ type: "group", groupId: String(groupId), traits: traits || {} }); },
    reset: function () { user = anonymous = null; kept("user", null); kept("anonymous", null); },
    push: function (call) { if (mr[call[0]]) mr[call[0]].apply(null, Array.prototype.slice.call(call, 1)); }
  };
  var before = kept("consent");
  if (before && before.purposes) { said = before.purposes; wording = before.version; user = kept("user"); }
  w.mr = mr;
  old.forEach(mr.push);
  d.addEventListener("visibilitychange", function () { if (d.visibilityState === "hidden") send(true); });
  later(0);
})(window, document);

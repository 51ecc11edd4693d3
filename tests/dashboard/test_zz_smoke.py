import re, pytest
from tests.factories import *
from tests.dashboard.conftest import *

def test_smoke(editor, store):
    r = editor.get("/admin/characters/new/")
    print(r.status_code)
    u=make_user(store); t=make_tag(store,"Elf"); p=make_persona(store); c=make_character(store,"Alice <b>",tags=[t.id],personaLinks=[{"personaId":p.id,"isDefault":True}], sillyTavernData={"a":1})
    for path in ["/admin/","/admin/counts","/admin/jump?q=ali"]+[f"/admin/{n}/" for n in ("characters","personas","tags","users")]+[f"/admin/{n}/new/" for n in ("characters","personas","tags","users")]+[f"/admin/{n}/details/?id={i}" for n,i in (("characters",c.id),("personas",p.id),("tags",t.id),("users",u.id))]+[f"/admin/{n}/edit/?id={i}" for n,i in (("characters",c.id),("personas",p.id),("tags",t.id))]+[f"/admin/{n}/delete/?id={i}" for n,i in (("characters",c.id),("personas",p.id),("tags",t.id))]+["/admin/tags/suggest/?q=el"]:
        r = editor.get(path)
        print(r.status_code, path)
        assert r.status_code==200, r.text[-3000:]
        if "jump" in path or "suggest" in path: continue
        assert "<b>" not in r.text.replace("Alice &lt;b&gt;","")
        print(len(r.text), "style=" in r.text, re.findall(r"\son\w+=", r.text))

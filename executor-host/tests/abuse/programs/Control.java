import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;

class Main {
    static List<String> names(String place) throws Exception {
        try (var entries = Files.list(Path.of(place))) {
            return entries.map(e -> e.getFileName().toString()).sorted().collect(Collectors.toList());
        }
    }

    public static void main(String[] args) throws Exception {
        for (var place : List.of("/work", "/tmp", "/dev/shm", "/dev/mqueue")) {
            System.out.println(place + ": " + String.join(" ", names(place)));
        }
        System.out.println("/proc: " + names("/proc").stream().filter(n -> n.matches("\\d+")).count());
    }
}
